package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ascompleted/await"
)

// patience is how long a probe may take before it counts as hanging.
const patience = 10 * time.Second

const legend = `Made by running each library; what may crash or hang runs in a child process.

- Panic, Goexit: what a call gets whose second task of three panics, or calls
  runtime.Goexit as t.FailNow does.
- First error: with a limit of 1, the first of ten tasks fails; how many start
  in all, in 20 runs.
- Left early: the loop is left at the first of four results. Are the tasks that
  run told by their context, has the loop waited for them, and how many
  goroutines are left a second later?
- Nested: under a limit of 1, a task waits for a task under the same limit.
- Whose result: how one learns which task it is of. This column comes from the
  signatures.
- Slow loop: how many tasks have been started when the loop stands still in its
  first result, with a limit of 4: of a list of 100, of a sequence of 1000.
- own code: the library has no such thing, so this shows our code around it.
`

// printBehavior prints what the peers do when things go wrong.
func printBehavior(out io.Writer) error {
	rows, err := behavior(context.Background())
	if err != nil {
		return err
	}
	header := []string{""}
	for _, q := range questions {
		header = append(header, q.name)
	}
	printTable(out, header, rows)
	fmt.Fprintf(out, "\n%s\nNot run here; from their documentation and source:\n\n", legend)
	printTable(out, header, elsewhere)
	return nil
}

// behavior runs all probes: a row of cells for each peer, its name first.
func behavior(ctx context.Context) ([][]string, error) {
	type cell struct{ peer, question string }
	var cells []cell
	for _, p := range peers() {
		for _, q := range questions {
			cells = append(cells, cell{p.name, q.name})
		}
	}
	answers, err := await.Gather(ctx, await.Tasks(cells, func(ctx context.Context, c cell) (string, error) {
		return probe(ctx, c.peer, c.question)
	}), await.Limit(12))
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for i, p := range peers() {
		rows = append(rows, append([]string{p.name}, answers[i*len(questions):(i+1)*len(questions)]...))
	}
	return rows, nil
}

// probe asks one question about one peer.
func probe(ctx context.Context, peer, question string) (string, error) {
	answer, log, err := ask(ctx, patience, "probe", question, peer)
	if errors.Is(err, errHangs) || errors.Is(err, errCrashes) {
		return "**" + err.Error() + "**", nil
	}
	if strings.Contains(log, boom) {
		answer += ", logged"
	}
	return answer, err
}

// printTable prints a table as Markdown.
func printTable(out io.Writer, header []string, rows [][]string) {
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range rows {
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
}
