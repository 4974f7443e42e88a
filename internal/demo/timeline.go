package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// timeline draws a recording as text, for a terminal of 80 columns.
func timeline(ctx context.Context, c config, out io.Writer) error {
	runs, err := record(ctx, c)
	if err != nil {
		return err
	}
	end := longest(runs)
	column := func(t time.Duration) int { return int((60*t + end/2) / end) }
	for _, run := range runs {
		fmt.Fprintf(out, "%s: %s (average %s)\n", run.name, run.what, run.average())
		for _, s := range run.spans {
			started, ended, got := column(s.started), column(s.ended), column(s.got)
			fmt.Fprintf(out, "%9s %s%s%s◆ %.2f s\n", s.name, strings.Repeat(" ", started),
				strings.Repeat("█", ended-started), strings.Repeat("·", got-ended), s.got.Seconds())
		}
		fmt.Fprintln(out)
	}
	var axis string
	for _, t := range ticks(end) {
		axis = fmt.Sprintf("%-*s%s", 10+column(t), axis, seconds(t))
	}
	fmt.Fprintf(out, "%s\n\n%10s█ request runs   · result waits   ◆ your code gets it\n", axis, "")
	return nil
}
