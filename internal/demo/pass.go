package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ascompleted/await"
)

// pass is one pass over the pages, and what it came to.
type pass struct {
	name     string
	what     string
	fetchAll func(context.Context, []string, *pass, []await.Option)

	total       int
	done        int             // pages that came
	here        []time.Duration // for each page that could be used: when
	failed      int
	began       time.Time
	screen      *screen
	interrupted func() bool
}

// run makes the pass. When it is interrupted, that is the caller's to tell.
func (p *pass) run(ctx context.Context, urls []string, c config, out io.Writer) {
	fmt.Fprintf(out, "%s: %s\n", p.name, p.what)
	defer fmt.Fprintln(out)

	p.total = len(urls)
	p.interrupted = func() bool { return ctx.Err() != nil }
	p.screen = newScreen(out, p.name, p.total)
	defer p.screen.close()

	timed, cancel := c.timed(ctx)
	defer cancel()
	// Without this, the second pass would find connections ready for it.
	http.DefaultClient.CloseIdleConnections()
	p.began = time.Now()
	p.fetchAll(timed, urls, p, c.options(p.name))
}
