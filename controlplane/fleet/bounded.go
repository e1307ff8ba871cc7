package fleet

import "strings"

// Cut shortens a text to so many bytes, and says so if there is room for that.
func Cut(text string, most int) string {
	const more = " …"
	switch {
	case len(text) <= most:
		return text
	case most < 100:
		return strings.ToValidUTF8(text[:most], "")
	default:
		return strings.ToValidUTF8(text[:most-len(more)], "") + more
	}
}

const (
	// textOfInstance bounds the texts of all statuses of an instance, in bytes, since each of its
	// databases repeats what is said of their agent; textOfDatabase is left to each in any case.
	textOfInstance = 256 << 10
	textOfDatabase = 500
)

// Bounded is the status with its texts cut, if they are long, to what is left to one of so many
// databases of its instance.
func (j DatabaseStatus) Bounded(databases int) DatabaseStatus {
	most := max(textOfInstance/max(databases, 1), textOfDatabase)
	j.Warnings = cutAll(j.Warnings, most)
	if j.TestRestored != nil {
		tested := *j.TestRestored
		tested.TestRestore = tested.TestRestore.Bounded(most)
		j.TestRestored = &tested
	}
	for n := range j.Reasons {
		j.Reasons[n].Text = Cut(j.Reasons[n].Text, most/2)
		j.Reasons[n].NextStep = Cut(j.Reasons[n].NextStep, most)
	}
	return j
}

// Bounded is the test restore with no more bytes of differences, and of what a restore refuses,
// than so many.
func (p TestRestore) Bounded(most int) TestRestore {
	p.Differences = cutAll(p.Differences, most)
	p.Refuses = Cut(p.Refuses, most)
	return p
}

// cutAll cuts the text with which a list gets too long, and leaves out what follows.
func cutAll(texts []string, most int) []string {
	for n, text := range texts {
		if len(text) > most {
			return append(append([]string{}, texts[:n]...), Cut(text, most))
		}
		most -= len(text)
	}
	return texts
}
