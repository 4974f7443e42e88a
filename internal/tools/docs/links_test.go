package docs_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark/ast"
)

// What links and images refer to in the repository is there; of other sites
// the form of the address is checked, and nothing is fetched.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(page.path, func(t *testing.T) {
			check := func(link string) {
				if err := page.leads(t, link); err != nil {
					t.Errorf("%s: %v", link, err)
				}
			}
			each(page, func(n *ast.Link) { check(string(n.Destination)) })
			each(page, func(n *ast.Image) { check(string(n.Destination)) })
			each(page, func(n *ast.AutoLink) { check(string(n.URL(page.source))) })
			each(page, func(n *ast.HTMLBlock) { attributes(string(n.Lines().Value(page.source)), check) })
			each(page, func(n *ast.RawHTML) { attributes(string(n.Segments.Value(page.source)), check) })
		})
	}
}

var attribute = regexp.MustCompile(`(?:src|srcset|href)="([^"]*)"`)

// attributes calls check with the links in HTML.
func attributes(html string, check func(link string)) {
	for _, match := range attribute.FindAllStringSubmatch(html, -1) {
		check(match[1])
	}
}

// leads reports why a link of the page leads nowhere.
func (p page) leads(t *testing.T, link string) error {
	t.Helper()
	to, err := url.Parse(link)
	switch {
	case err != nil:
		return err
	case to.Scheme != "":
		if to.Scheme != "https" || to.Host == "" {
			return errors.New("neither a file nor an https address")
		}
		return nil
	}
	target := p
	if to.Path != "" {
		path := filepath.Join(filepath.Dir(p.path), to.Path)
		if _, err := os.Stat(path); err != nil {
			return err
		}
		if to.Fragment == "" {
			return nil
		}
		target = read(t, path)
	}
	if anchors := target.anchors(); !anchors[to.Fragment] {
		return fmt.Errorf("no such heading among %q", slices.Sorted(maps.Keys(anchors)))
	}
	return nil
}

var unanchored = regexp.MustCompile(`[^\p{L}\p{M}\p{N}\p{Pc}\- ]`)

// anchors are what GitHub makes of the headings of the page.
func (p page) anchors() map[string]bool {
	anchors := map[string]bool{}
	each(p, func(heading *ast.Heading) {
		name := unanchored.ReplaceAllString(strings.ToLower(p.words(heading)), "")
		name = strings.ReplaceAll(name, " ", "-")
		anchor := name
		for n := 1; anchors[anchor]; n++ {
			anchor = fmt.Sprintf("%s-%d", name, n)
		}
		anchors[anchor] = true
	})
	return anchors
}
