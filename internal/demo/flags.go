package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ascompleted/await"
)

const usage = `usage: demo [-urls FILE] [-limit N] [-timeout D] [-order finish|input]
       demo -restaurant|-timeline|-svg FILE|-million [-limit N] [-timeout D]

Demo fetches pages twice and shows the difference. The first pass ranges over
await.AsCompleted and shows each page the moment it is here. The second pass
calls await.Gather, which returns when all pages are here, or when the first
one has failed: it then cancels the others. In the end demo compares when the
first page, half of them and all of them were here in each pass.

Without -urls the pages come from a server that demo starts on the loopback
interface: 100 pages of different size and delay, the same in every run.

  -urls FILE     fetch these pages instead: one URL a line, with http or https.
                 Blank lines and lines that begin with # are skipped. FILE -
                 is standard input. Each page is fetched twice, once a pass.
  -limit N       fetch at most N pages at once; 0, the default, is no limit
  -timeout D     give each of the two passes that much time, say 500ms or 10s;
                 0, the default, is no limit
  -order ORDER   finish (the default): show a page when it is here;
                 input: show the pages in the order of the list, each as soon
                 as it and all before it are here (await.InOrder)

One of these flags shows something else, and nothing is fetched. -limit and
-timeout go with them.

  -restaurant    serve the dishes of an evening, each when it is done and then
                 all together. There are 3 cooks, or as many as -limit says.
                 The code, restaurant.go, is a short way into the library.
  -timeline      draw when six tasks run, and when their results come from
                 await.AsCompleted, await.InOrder and await.Gather, as wide as
                 the terminal, or 80 columns
  -svg FILE      draw that into FILE, as an SVG picture, and for dark pages into
                 another: timeline-dark.svg beside timeline.svg. The output says
                 where they are.
  -million       run 1,000,000 tasks from a sequence of inputs
                 (await.AsCompletedSeq), 64 at once or as -limit says, and show
                 that they take no more memory than a few

With any of these, and with pages:

  -trace FILE    record an execution trace in FILE. go tool trace shows it: each
                 call stands there with its name, and its tasks below it.

  -h             show this help

Output to a terminal has a progress bar; other output is plain lines. A page
has failed if it cannot be fetched in full, if its status is 400 or above, or
if it is larger than 16 MiB.

Ctrl-C (or SIGTERM) ends the run and tells how far it was; a second one kills
demo at once.

The exit status is 0 if every page of both passes is here, 1 if a page failed,
if -timeout ended something else, or if FILE cannot be written, 2 for a bad
flag, a bad list or a list that cannot be read, 130 after Ctrl-C or SIGTERM.
(go run prints the status and has 1 for its own.)
`

// config is what the flags ask for.
type config struct {
	urls    string        // the file with the user's URLs; empty: those of our own server
	limit   int           // of tasks at once; 0: none
	timeout time.Duration // of each pass, or of what is shown instead; 0: none
	inOrder bool          // show the pages in the order of the list

	// What to show instead of pages, one of them at most.
	restaurant bool
	timeline   bool
	million    bool
	svg        string // the file for the picture; empty: none

	trace string // the file for an execution trace; empty: none
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run shows the help and the error
	flags.Func("urls", "", func(s string) error {
		c.urls = s
		return unless(s != "", "want the name of a file, or - for standard input")
	})
	flags.Func("limit", "", func(s string) (err error) {
		c.limit, err = strconv.Atoi(s)
		return unless(err == nil && c.limit >= 0, "want a whole number, 0 or more")
	})
	flags.Func("timeout", "", func(s string) (err error) {
		c.timeout, err = time.ParseDuration(s)
		return unless(err == nil && c.timeout >= 0, "want a time like 500ms or 10s, 0 or more")
	})
	flags.Func("order", "", func(s string) error {
		c.inOrder = s == "input"
		return unless(s == "input" || s == "finish", "want finish or input")
	})
	flags.BoolVar(&c.restaurant, "restaurant", false, "")
	flags.BoolVar(&c.timeline, "timeline", false, "")
	flags.Func("svg", "", func(s string) error {
		c.svg = s
		return unless(s != "", "want the name of a file")
	})
	flags.BoolVar(&c.million, "million", false, "")
	flags.Func("trace", "", func(s string) error {
		c.trace = s
		return unless(s != "", "want the name of a file")
	})
	err = flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err == nil {
		err = c.check()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		err = fmt.Errorf("%w (-h shows the help)", err)
	}
	return c, err
}

// check tells which flags do not go together.
func (c config) check() error {
	var shows []string
	for _, show := range []struct {
		flag  string
		asked bool
	}{
		{"-restaurant", c.restaurant}, {"-timeline", c.timeline}, {"-svg", c.svg != ""}, {"-million", c.million},
	} {
		if show.asked {
			shows = append(shows, show.flag)
		}
	}
	switch {
	case len(shows) > 1:
		return fmt.Errorf("%s do not go together", strings.Join(shows, " and "))
	case len(shows) == 1 && (c.urls != "" || c.inOrder):
		return fmt.Errorf("%s fetches nothing: it goes with -limit and -timeout only", shows[0])
	}
	return nil
}

// unless is the error that says what is wrong, unless all is well.
func unless(ok bool, wrong string) error {
	if ok {
		return nil
	}
	return errors.New(wrong)
}

// options is what the flags ask of the library.
func (c config) options(name string) []await.Option {
	options := []await.Option{await.Name(name)}
	if c.limit > 0 {
		options = append(options, await.Limit(c.limit))
	}
	return options
}

// limitOr is what -limit says, or usual.
func (c config) limitOr(usual int) int {
	if c.limit > 0 {
		return c.limit
	}
	return usual
}

// timed is ctx, ended when the time of a pass is up.
func (c config) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("time is up after %v", c.timeout))
}
