package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// fetchPages fetches pages in two passes and compares them. If the user names
// no list of them, our own server has the given number. It returns the exit
// status.
func fetchPages(ctx context.Context, c config, pages int, stdin io.Reader, stdout, stderr io.Writer) int {
	var urls []string
	if c.urls == "" {
		site := serve(pages)
		defer site.Close()
		urls = site.urls
	} else {
		var err error
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
			complain(stderr, fmt.Errorf("interrupted in %s: %d of %d pages were done", p.name, p.done, p.total))
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
