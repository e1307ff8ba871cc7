package fleet
import _ "github.com/google/uuid"
import _ "database/sql"