package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxBody bounds what a page may cost us. An endless one must come to an end.
const maxBody = 16 << 20

// Page is what came for one URL.
type Page struct {
	Status int
	Size   int64
}

// fetch is the task: it loads one page.
func fetch(ctx context.Context, address string) (Page, error) {
	page, err := get(ctx, address)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // says why the request was cut off
	}
	return page, err
}

func get(ctx context.Context, address string) (Page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Page{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Page{}, withoutURL(err)
	}
	defer response.Body.Close()
	size, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxBody+1))
	switch {
	case response.StatusCode >= 400:
		return Page{}, fmt.Errorf("the server answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	case err != nil:
		return Page{}, fmt.Errorf("the page broke off: %w", err)
	case size > maxBody:
		return Page{}, fmt.Errorf("the page is larger than %d MiB", maxBody>>20)
	}
	return Page{response.StatusCode, size}, nil
}

// withoutURL takes off what the client puts before an error: the method and
// the URL, which every line shows anyway.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
