// Demo fetches pages twice and shows the difference: with await.AsCompleted
// each page can be used the moment it is here, with await.Gather when all are.
// The two calls are in passes.go. Flags show something else instead:
//
//	-restaurant   a few dishes and cooks: begin to read at restaurant.go
//	-timeline     when each result comes, as text; -svg draws a picture of it
//	-million      a million tasks in constant memory
//
// Run it with -h to see them all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// The exit statuses.
const (
	allHere     = 0
	someFailed  = 1
	badUse      = 2
	interrupted = 130 // what a shell makes of a program that Ctrl-C has ended
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the context. From then on a signal does what it
	// does to any program, so a second Ctrl-C kills this one even if it hangs.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, 100, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program; its server has the given number of pages. It returns
// the exit status.
func run(ctx context.Context, pages int, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return allHere
	}
	if err != nil {
		complain(stderr, err)
		return badUse
	}
	stop, err := c.startTrace()
	if err != nil {
		complain(stderr, err)
		return someFailed
	}
	defer stop()
	timed, cancel := c.timed(ctx)
	defer cancel()
	switch {
	case c.restaurant:
		err = restaurant(timed, c.limitOr(3), stdout)
	case c.timeline:
		err = timeline(timed, c, columns(stdout), stdout)
	case c.svg != "":
		err = picture(timed, c, stdout)
	case c.million:
		err = million(timed, c, 1_000_000, stdout)
	default:
		return fetchPages(ctx, c, pages, stdin, stdout, stderr)
	}
	if err != nil {
		complain(stderr, err)
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return someFailed
	}
	return allHere
}

// complain writes err, which may have several lines.
func complain(stderr io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "demo: %s\n", printable(strings.TrimSuffix(line, "\n")))
	}
}
