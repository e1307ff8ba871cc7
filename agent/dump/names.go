package dump

import "strings"

// SplitQualified parts schema and name, as they stand there; the schema is "" where there is none.
func SplitQualified(qualified string) (schema, name string) {
	words := ReadWords(qualified, 2)
	if len(words) == 0 {
		return "", qualified
	}
	at := words[0].End
	if !words[0].Quoted {
		dot := strings.IndexByte(words[0].Text, '.')
		if dot < 0 {
			return "", qualified
		}
		at = dot
	}
	if at >= len(qualified) || qualified[at] != '.' {
		return "", qualified
	}
	return qualified[:at], qualified[at+1:]
}

// Unquoted is a name as the catalog has it.
func Unquoted(name string) string {
	words := ReadWords(name, 1)
	if len(words) == 1 && words[0].Quoted {
		return words[0].Text
	}
	return name
}

// FirstWords say what a statement does and to what, without what it holds.
func FirstWords(sql string) string {
	var words []string
	for _, w := range ReadWords(sql, 8) {
		if w.Text == "(" || w.Is("AS") || w.Is("TO") || w.Is("FROM") || w.Is("IS") {
			break
		}
		words = append(words, w.Text)
	}
	return strings.Join(words, " ")
}

// CopyTarget is the table of a COPY as it stands there, and the statement without its end.
func CopyTarget(sql string) (table, statement string) {
	statements := SplitScript([]byte(sql))
	if len(statements) == 0 {
		return "", sql
	}
	s := statements[0]
	for _, w := range s.Words[1:] {
		if !w.Quoted && w.Text == "(" || w.Is("FROM") {
			return strings.TrimSpace(s.SQL[s.Words[0].End:w.Start]), s.SQL
		}
	}
	return "", s.SQL
}
