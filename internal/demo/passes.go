package main

import (
	"context"

	"github.com/ascompleted/await"
)

// asCompleted shows each page the moment it is here, while others still load.
func asCompleted(ctx context.Context, urls []string, p *pass, options []await.Option) {
	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, fetch), options...) {
		p.show(urls[i], r.Value, r.Err)
	}
}

// inOrder shows each page as soon as it and all before it are here.
func inOrder(ctx context.Context, urls []string, p *pass, options []await.Option) {
	for i, r := range await.InOrder(ctx, await.Tasks(urls, fetch), options...) {
		p.show(urls[i], r.Value, r.Err)
	}
}

// gather has nothing to show before the slowest page is here, or one has failed.
func gather(ctx context.Context, urls []string, p *pass, options []await.Option) {
	pages, err := await.Gather(ctx, await.Tasks(urls, fetch), options...)
	p.showAll(urls, pages, err)
}
