// Mutate shows what the tests of await would not notice. It changes the
// package, or what it imports of its module, in one small way after another
// (see find.go), runs the tests on each mutant, those of the package and those
// of internal/proof, and prints the changes that no test fails on: the
// survivors. A test that hangs has failed; when all together take too long,
// that is printed too.
//
//	go run -C internal/tools/mutate . [-file RE] [-resume FILE]
//
// A survivor is a missing test, or code that could go, or it is equivalent:
// no user could notice the difference. Those are listed in equivalent.txt, with
// the reason, and not run. The exit status is 1 if there is any other, or if
// the list has an entry that fits no mutant.
//
// The work tree stays as it is: all mutants are compiled at once, into one
// binary for each package of tests, and the environment says which of them is
// awake (see weave.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"

	"github.com/ascompleted/await"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	clean, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case !clean:
		os.Exit(1)
	}
}

// run is the program. It reports whether no mutant survived that is not known
// to be equivalent.
func run(ctx context.Context, args []string, stdout io.Writer) (clean bool, err error) {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	dir := flags.String("dir", "../../..", "the `folder` of the package to mutate")
	file := flags.String("file", "", "mutate only files whose path matches this `regexp`")
	equivalent := flags.String("equivalent", "equivalent.txt", "the `file` that lists equivalent mutants")
	resume := flags.String("resume", "", "skip mutants that this `file` says were killed, and add to it")
	race := flags.Bool("race", false, "run the tests with the race detector")
	parallel := flags.Int("p", runtime.GOMAXPROCS(0), "test `n` mutants at once")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	only, err := regexp.Compile(*file)
	if err != nil {
		return false, err
	}
	known, err := readEquivalent(*equivalent)
	if err != nil {
		return false, err
	}
	record, err := openRecord(*resume)
	if err != nil {
		return false, err
	}
	defer record.close()

	code, err := load(ctx, *dir)
	if err != nil {
		return false, err
	}
	mutants, uncompilable, err := code.mutants(only)
	if err != nil {
		return false, err
	}
	unused := known.unused(mutants, only)
	tests, err := build(ctx, code, mutants, *race)
	if err != nil {
		return false, err
	}
	defer tests.remove()
	if err := tests.measure(ctx); err != nil {
		return false, err
	}

	count := map[outcome]int{}
	open := slices.DeleteFunc(slices.Clone(mutants), func(m *mutant) bool {
		switch {
		case known[m.change]:
			count[listed]++
		case record.has(m):
			count[killed]++
		default:
			return false
		}
		return true
	})
	for i, r := range await.AsCompleted(ctx, await.Tasks(open, tests.try), await.Limit(*parallel)) {
		if r.Err != nil {
			return false, r.Err
		}
		m := open[i]
		count[r.Value]++
		if r.Value == killed {
			if err := record.add(m); err != nil {
				return false, err
			}
			continue
		}
		fmt.Fprintf(stdout, "%s:%d %s\n%s\n", m.File, m.line, r.Value, m.change)
	}
	for _, c := range unused {
		fmt.Fprintf(stdout, "equivalent.txt lists what is no mutant:\n%s\n", c)
	}
	fmt.Fprintf(stdout, "%d mutants: %d killed, %d timed out, %d equivalent, %d survived; %d more did not compile\n",
		len(mutants), count[killed], count[timedOut], count[listed], count[survived], uncompilable)
	return count[survived] == 0 && len(unused) == 0, nil
}
