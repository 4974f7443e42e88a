// Demo fetches pages twice and shows the difference: with await.AsCompleted
// each page can be used the moment it is here, with await.Gather when all are.
// The two calls are in passes.go. With -million it runs a million tasks in
// constant memory instead; see million.go. Run it with -h to see the flags.
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
	if c.million {
		status := million(ctx, c, 1_000_000, stdout)
		if ctx.Err() != nil {
			return interrupted
		}
		return status
	}

	var urls []string
	if c.urls == "" {
		site := serve(pages)
		defer site.Close()
		urls = site.urls
	} else {
		urls, err = readList(ctx, c.urls, stdin)
		if ctx.Err() != nil {
			complain(stderr, errors.New("interrupted while reading the list"))
			return interrupted
		}
		if err != nil {
			complain(stderr, err)
			return badUse
		}
	}

	stream := &pass{name: "AsCompleted", what: "each page the moment it is here", fetchAll: asCompleted}
	if c.inOrder {
		stream = &pass{name: "InOrder", what: "each page as soon as it and all before it are here", fetchAll: inOrder}
	}
	passes := []*pass{stream, {name: "Gather", what: "all pages at once", fetchAll: gather}}
	for _, p := range passes {
		p.run(ctx, urls, c, stdout)
		if ctx.Err() != nil {
			complain(stderr, fmt.Errorf("interrupted in %s: %d of %d pages were done", p.name, len(p.here), p.total))
			return interrupted
		}
	}
	compare(stdout, passes)
	for _, p := range passes {
		if p.failed > 0 {
			return someFailed
		}
	}
	return allHere
}

// complain writes err, which may have several lines.
func complain(stderr io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "demo: %s\n", printable(strings.TrimSuffix(line, "\n")))
	}
}
