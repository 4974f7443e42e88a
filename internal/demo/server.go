package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// site is a server on the loopback interface, and the URLs of its pages.
type site struct {
	*httptest.Server
	urls []string
}

// serve starts a site of n pages. Close ends it.
func serve(n int) *site {
	mux := http.NewServeMux()
	s := &site{Server: httptest.NewServer(mux)}
	random := rand.New(rand.NewPCG(1, 2)) // the same pages in every run
	for i := range n {
		// Most pages are quick and a few are slow, as on most sites.
		slowness := random.Float64() * random.Float64()
		path := fmt.Sprintf("/page/%d", i+1)
		mux.Handle(path, page{
			delay: 20*time.Millisecond + time.Duration(slowness*float64(580*time.Millisecond)),
			size:  1000 + random.IntN(100_000),
		})
		s.urls = append(s.urls, s.URL+path)
	}
	return s
}

// page answers after a while.
type page struct {
	delay time.Duration
	size  int
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(p.delay):
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, strings.Repeat(".", p.size))
	case <-r.Context().Done(): // nobody waits for the page any more
	}
}
