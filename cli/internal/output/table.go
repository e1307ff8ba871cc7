package output

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table has rows under headings. Cells are printed as they are: the caller passes names and texts from elsewhere
// through Name or Line.
type Table struct {
	headings []string
	numbers  map[int]bool
	rows     [][]string
}

// NewTable starts a table. A heading that begins with ">" is of a column of numbers, which are
// aligned to the right.
func NewTable(headings ...string) *Table {
	t := &Table{numbers: map[int]bool{}}
	for i, heading := range headings {
		name, number := strings.CutPrefix(heading, ">")
		t.headings = append(t.headings, name)
		t.numbers[i] = number
	}
	return t
}

// Add appends a row; an empty cell is shown as "-".
func (t *Table) Add(cells ...string) {
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

// Write prints the table, with nothing at the ends of lines, or the text if it has no rows.
func (t *Table) Write(w io.Writer, none string) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, none)
		return err
	}
	writer := table.NewWriter()
	writer.SetStyle(plainStyle())
	writer.AppendHeader(row(t.headings))
	for _, cells := range t.rows {
		writer.AppendRow(row(cells))
	}
	var columns []table.ColumnConfig
	for i := range t.headings {
		align := text.AlignLeft
		if t.numbers[i] {
			align = text.AlignRight
		}
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	writer.SetColumnConfigs(columns)
	for line := range strings.SplitSeq(writer.Render(), "\n") {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

func row(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, cell := range cells {
		r[i] = cell
	}
	return r
}

// plainStyle is two spaces between columns, and no lines.
func plainStyle() table.Style {
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	return style
}

// Fields writes pairs of a label and a value, one a line, the values under each other. Pairs with an empty value are
// left out.
func Fields(w io.Writer, pairs ...[2]string) error {
	width := 0
	for _, pair := range pairs {
		width = max(width, len(pair[0]))
	}
	for _, pair := range pairs {
		if pair[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}
