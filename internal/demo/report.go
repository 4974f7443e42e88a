package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/ascompleted/await"
)

// show takes what came for one URL.
func (p *pass) show(url string, page Page, err error) {
	switch {
	case err == nil:
		p.done++
		p.here = append(p.here, time.Since(p.began))
		p.line("%7.1f kB  %s", kB(page.Size), url)
	case !p.interrupted():
		p.failed++
		p.line("%10s  %s: %v", "FAILED", url, err)
	}
}

// showAll takes what Gather returned.
func (p *pass) showAll(urls []string, pages []Page, err error) {
	now := time.Since(p.began)
	var size int64
	for _, page := range pages {
		if page == (Page{}) {
			continue
		}
		p.done++
		size += page.Size
		if err == nil { // who fails has no pages to use
			p.here = append(p.here, now)
		}
	}
	var first *await.TaskError
	switch {
	case err == nil:
		p.line("%7.1f kB  all pages", kB(size))
	case errors.As(err, &first) && !p.interrupted():
		p.failed++
		p.line("%10s  %s: %v", "FAILED", urls[first.Index], first.Err)
		p.line("%10s  Gather stops at the first error: done %d of %d pages, canceled %d",
			"", p.done, p.total, p.total-p.done-p.failed)
	}
}

// line shows how far the pass is, and the rest.
func (p *pass) line(format string, args ...any) {
	done := p.done + p.failed
	width := len(fmt.Sprint(p.total))
	text := printable(fmt.Sprintf(format, args...))
	p.screen.show(done, fmt.Sprintf("%*d/%d %8s  %s", width, done, p.total, ms(time.Since(p.began)), text))
}

// compare shows the passes side by side.
func compare(out io.Writer, passes []*pass) {
	row := func(name string, cell func(*pass) string) {
		fmt.Fprintf(out, "%-14s", name)
		for _, p := range passes {
			fmt.Fprintf(out, "%14s", cell(p))
		}
		fmt.Fprintln(out)
	}
	total := passes[0].total
	half := (total + 1) / 2
	row("", func(p *pass) string { return p.name })
	row("first page", func(p *pass) string { return p.when(1) })
	row(fmt.Sprintf("half (%d)", half), func(p *pass) string { return p.when(half) })
	row(fmt.Sprintf("all (%d)", total), func(p *pass) string { return p.when(total) })
}

// when tells when n pages could be used.
func (p *pass) when(n int) string {
	if n > len(p.here) {
		return "never"
	}
	return ms(p.here[n-1])
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

func kB(bytes int64) float64 { return float64(bytes) / 1000 }

// printable keeps what a server sends, or a list has, from moving the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
