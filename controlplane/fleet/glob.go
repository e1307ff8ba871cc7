package fleet

import "strings"

// IsGlob reports whether a text is a pattern for MatchGlob and not a name, which has
// neither sign.
func IsGlob(text string) bool { return strings.ContainsAny(text, "*?") }

// MatchGlob reports whether a pattern matches the whole of a text: * stands for any
// characters, none included, ? for exactly one, and every other character for
// itself. However many stars there are, it takes at most the product of the
// lengths.
func MatchGlob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	at, read := 0, 0
	// Where the last star stands, and how much of the text it stands for so far.
	star, taken := -1, 0
	for read < len(t) {
		switch {
		case at < len(p) && p[at] == '*':
			star, taken = at, read
			at++
		case at < len(p) && (p[at] == '?' || p[at] == t[read]):
			at++
			read++
		case star >= 0:
			taken++
			at, read = star+1, taken
		default:
			return false
		}
	}
	for at < len(p) && p[at] == '*' {
		at++
	}
	return at == len(p)
}

// GlobsMeet reports whether there is a text that both patterns match. It takes at most
// the product of their lengths.
func GlobsMeet(a, b string) bool {
	p, q := []rune(a), []rune(b)
	// next[j] is whether what is left of p, from the row below, meets q[j:].
	next := make([]bool, len(q)+1)
	for i := len(p); i >= 0; i-- {
		row := make([]bool, len(q)+1)
		for j := len(q); j >= 0; j-- {
			switch {
			case i == len(p) && j == len(q):
				row[j] = true
			case i < len(p) && p[i] == '*':
				row[j] = next[j] || j < len(q) && row[j+1]
			case j < len(q) && q[j] == '*':
				row[j] = row[j+1] || i < len(p) && next[j]
			case i < len(p) && j < len(q):
				row[j] = next[j+1] && (p[i] == q[j] || p[i] == '?' || q[j] == '?')
			}
		}
		next = row
	}
	return next[0]
}
