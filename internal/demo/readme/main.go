package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ascompleted/await"
)

func main() {
	ctx, urls := context.Background(), []string{"/home", "/news", "/gone", "/about"}
	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, fetch), await.Limit(8)) {
		if r.Err != nil {
			fmt.Printf("%s: %v\n", urls[i], r.Err)
			continue
		}
		fmt.Printf("%s: %s\n", urls[i], r.Value) // others are still loading
	}
	// nothing runs anymore, and that is so after a break too
}

// fetch stands for work that takes a while and can fail.
func fetch(ctx context.Context, url string) (string, error) {
	delay, found := map[string]time.Duration{"/home": 300, "/news": 100, "/about": 200}[url]
	if !found {
		return "", errors.New("404 Not Found")
	}
	select {
	case <-time.After(delay * time.Millisecond):
		return fmt.Sprintf("loaded in %d ms", delay), nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
