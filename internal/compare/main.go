// Compare does the same jobs with await, by hand, and with other libraries,
// and shows how they behave and what they cost. Run it with -h to see the
// flags.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: compare -behavior
       compare -memory
       compare -bench [-rounds N] [-filter JOB[/task=...[/limit=...]]] [-file FILE]
       compare -plot DIR [-file FILE]

Compare does the same jobs with await, by hand, and with other libraries.

  -behavior    run what may go wrong, and print what happens, as a table
  -memory       print the peak memory of 1,000,000 tasks (Linux only)
  -bench        run the benchmarks, add what they print to FILE, and print the
                comparison; it needs the go command
  -plot DIR     draw the time per task over the number of tasks, from FILE: four
                pictures, of Gather and AsCompleted, for light and dark pages

  -rounds N     how often each benchmark runs (10); with 0, -bench only prints
                what FILE has
  -filter JOB   run only these benchmarks: a regular expression for each part
                of the name, as in Gather/task=empty/limit=8
  -file FILE    where the benchmarks' output is kept (compare.out)
`

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		child(os.Args[2:])
		return
	}
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "compare: %v\n", err)
		os.Exit(1)
	}
}

// run is the program.
func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	behavior := flags.Bool("behavior", false, "")
	memory := flags.Bool("memory", false, "")
	bench := flags.Bool("bench", false, "")
	plot := flags.String("plot", "", "")
	rounds := flags.Int("rounds", 10, "")
	filter := flags.String("filter", "", "")
	file := flags.String("file", "compare.out", "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return nil
	case err != nil:
		return fmt.Errorf("%w (-h shows the help)", err)
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q (-h shows the help)", flags.Arg(0))
	case *behavior:
		return printBehavior(out)
	case *memory:
		return printMemory(out)
	case *bench:
		return benchmark(out, *rounds, *filter, *file)
	case *plot != "":
		return drawAll(*plot, *file)
	}
	return errors.New("nothing to do (-h shows the help)")
}

// must is for errors that cannot occur.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
