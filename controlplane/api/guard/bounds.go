package guard

import (
	"google.golang.org/protobuf/proto"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// checkBounds holds what an agent may ask, and everybody who is enrolled, to the
// bounds of package session. A session does that itself: it goes on where a message
// is over.
func checkBounds(method string, request any) error {
	rule, _ := access.RuleFor(method)
	message, ok := request.(proto.Message)
	if !ok || method == pgharborv1.SessionService_Connect_FullMethodName || (!rule.Agent && !rule.Enrolled && !rule.Anonymous) {
		return nil
	}
	return session.Bound(message)
}
