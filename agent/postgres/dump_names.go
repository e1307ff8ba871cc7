package postgres

import "strings"

// splitQualified parts schema and name, as they stand there; the schema is "" where there is none.
func splitQualified(qualified string) (schema, name string) {
	words := readWords(qualified, 2)
	if len(words) == 0 {
		return "", qualified
	}
	at := words[0].end
	if !words[0].quoted {
		dot := strings.IndexByte(words[0].text, '.')
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

// unquoted is a name as the catalog has it.
func unquoted(name string) string {
	words := readWords(name, 1)
	if len(words) == 1 && words[0].quoted {
		return words[0].text
	}
	return name
}

// firstWords say what a statement does and to what, without what it holds.
func firstWords(sql string) string {
	var words []string
	for _, w := range readWords(sql, 8) {
		if w.text == "(" || w.is("AS") || w.is("TO") || w.is("FROM") || w.is("IS") {
			break
		}
		words = append(words, w.text)
	}
	return strings.Join(words, " ")
}
