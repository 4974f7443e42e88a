package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// narrowest is how many columns a timeline needs.
const narrowest = 30

// timeline draws a recording as text, for a terminal of that many columns.
func timeline(ctx context.Context, c config, columns int, out io.Writer) error {
	runs, err := record(ctx, c)
	if err != nil {
		return err
	}
	columns = max(columns, narrowest)
	bars := time.Duration(columns - 20) // names are left of them, times right
	end := longest(runs)
	column := func(t time.Duration) int { return int((bars*t + end/2) / end) }
	for _, run := range runs {
		heading := fmt.Sprintf("%s: %s (average %s)", run.name, run.what, run.average())
		fmt.Fprint(out, fold(columns, "", " ", strings.Fields(heading)))
		for _, s := range run.spans {
			started, ended, got := column(s.started), column(s.ended), column(s.got)
			fmt.Fprintf(out, "%9s %s%s%s◆ %.2f s\n", s.name, strings.Repeat(" ", started),
				strings.Repeat("█", ended-started), strings.Repeat("·", got-ended), s.got.Seconds())
		}
		fmt.Fprintln(out)
	}
	var axis string
	for _, t := range ticks(end) {
		if at := 10 + column(t); at > len(axis) { // else there is no room for it
			axis = fmt.Sprintf("%-*s%s", at, axis, seconds(t))
		}
	}
	legend := []string{"█ request runs", "· result waits", "◆ your code gets it"}
	fmt.Fprintf(out, "%s\n\n%s", axis, fold(columns, strings.Repeat(" ", 10), "   ", legend))
	return nil
}

// fold joins parts, in as many indented lines as the columns ask for.
func fold(columns int, indent, between string, parts []string) string {
	lines := []string{indent + parts[0]}
	for _, part := range parts[1:] {
		last := &lines[len(lines)-1]
		if longer := *last + between + part; utf8.RuneCountInString(longer) <= columns {
			*last = longer
		} else {
			lines = append(lines, indent+part)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
