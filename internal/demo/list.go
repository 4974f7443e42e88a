package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/ascompleted/await"
)

// readList reads the list of URLs in the named file; - is stdin.
func readList(ctx context.Context, name string, stdin io.Reader) ([]string, error) {
	read := func(context.Context) ([]string, error) {
		if name == "-" {
			return parseList("standard input", stdin)
		}
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return parseList(name, file)
	}
	// A read that waits for a terminal or a pipe does not heed the context,
	// so Ctrl-C leaves it behind.
	r := await.Settle(ctx, []await.Task[[]string]{read}, await.Detach())[0]
	return r.Value, r.Err
}

// parseList returns the URLs, or an error that names every bad line.
func parseList(name string, list io.Reader) ([]string, error) {
	var urls []string
	var bad []error
	lines := bufio.NewScanner(list)
	n := 1
	for ; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := checkURL(line); err != nil {
			bad = append(bad, fmt.Errorf("%s, line %d: %w", name, n, err))
		}
		urls = append(urls, line)
	}
	if err := lines.Err(); err != nil {
		bad = append(bad, fmt.Errorf("%s, line %d: %w", name, n, err))
	}
	if bad == nil && urls == nil {
		return nil, fmt.Errorf("%s: no URLs", name)
	}
	return urls, errors.Join(bad...)
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q does not begin with http:// or https://", s)
	case u.Hostname() == "":
		return fmt.Errorf("%q has no host", s)
	}
	return nil
}
