package fleet

// MatchGlob says whether a pattern matches the whole of a text: * stands for any
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
