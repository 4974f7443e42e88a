package recipes_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ascompleted/await"
)

// Which links of a site are broken, and which pages contain them? A crawler finds
// its work as it goes: the body of the loop adds to the queue what the page that
// has just been loaded links to. The loop ends when nothing is left.
//
// The body is one goroutine, so its maps need no lock. Watch out that a page
// must be added only once, or two pages that link to each other keep the
// crawler busy forever.
func Example_crawler() {
	site := httptest.NewServer(http.HandlerFunc(serveSite))
	defer site.Close()

	var queue await.Queue[string, []string]
	linkedFrom := map[string][]string{}
	visit := func(page, from string) {
		if linkedFrom[page] == nil {
			queue.Add(page, func(ctx context.Context) ([]string, error) { return links(ctx, page) })
		}
		linkedFrom[page] = append(linkedFrom[page], from)
	}

	var broken []string
	visit(site.URL+"/", "")
	for page, r := range queue.AsCompleted(context.Background(), await.Limit(4)) {
		if r.Err != nil {
			broken = append(broken, page)
		}
		for _, link := range r.Value {
			if strings.HasPrefix(link, site.URL) { // not the rest of the web
				visit(link, page)
			}
		}
	}

	slices.Sort(broken)
	for _, page := range broken {
		slices.Sort(linkedFrom[page])
		report := fmt.Sprintln(page, "is broken on", linkedFrom[page])
		fmt.Print(strings.ReplaceAll(report, site.URL, ""))
	}
	fmt.Println(len(linkedFrom), "pages")
	// Output:
	// /gone is broken on [/ /news]
	// /old is broken on [/news]
	// 5 pages
}

var href = regexp.MustCompile(`href="([^"]+)"`)

// links returns what the page links to, as absolute URLs.
func links(ctx context.Context, page string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", page, resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, match := range href.FindAllSubmatch(body, -1) {
		link, err := url.Parse(string(match[1]))
		if err != nil {
			return found, err
		}
		found = append(found, req.URL.ResolveReference(link).String())
	}
	return found, nil
}

func serveSite(w http.ResponseWriter, r *http.Request) {
	page, ok := map[string]string{
		"/":        `<a href="/news"> <a href="gone"> <a href="https://go.dev/">`,
		"/news":    `<a href="/"> <a href="/old"> <a href="/gone"> <a href="/archive">`,
		"/archive": `<a href="/news">`,
	}[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	io.WriteString(w, page)
}
