package recipes_test

import (
	"context"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
)

// perHost makes of get a function that runs at most n times at once for URLs of
// the same host.
func perHost[T any](n int64, get func(context.Context, *url.URL) (T, error)) func(context.Context, *url.URL) (T, error) {
	var mu sync.Mutex
	hosts := map[string]*semaphore.Weighted{}
	host := func(name string) *semaphore.Weighted {
		mu.Lock()
		defer mu.Unlock()
		if hosts[name] == nil {
			hosts[name] = semaphore.NewWeighted(n)
		}
		return hosts[name]
	}
	return func(ctx context.Context, u *url.URL) (value T, err error) {
		slots := host(u.Host)
		if err := slots.Acquire(ctx, 1); err != nil {
			return value, err
		}
		defer slots.Release(1)
		return get(ctx, u)
	}
}

// A limit per host: be polite to each server, and ask all of them at once.
// Results come in one loop, whatever the host.
//
// Watch out that a task that waits for its host has a slot of Limit. If many URLs
// of one slow host stand in a row, they take all slots, and the other hosts wait
// for them too: shuffle the list, or leave the Limit out, so that a task that
// waits costs no more than a goroutine.
func TestHostsAreAskedPolitely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := map[string]int{}, map[string]int{}
		get := func(_ context.Context, u *url.URL) (string, error) {
			mu.Lock()
			running[u.Host]++
			most[u.Host] = max(most[u.Host], running[u.Host])
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running[u.Host]--
			mu.Unlock()
			return "page " + u.Path, nil
		}

		var urls []*url.URL
		for _, host := range []string{"go.dev", "example.org"} {
			for _, path := range []string{"/a", "/b", "/c", "/d"} {
				urls = append(urls, &url.URL{Scheme: "https", Host: host, Path: path})
			}
		}
		began := time.Now()
		for i, r := range await.AsCompleted(t.Context(), await.Tasks(urls, perHost(2, get))) {
			require.NoError(t, r.Err)
			assert.Equal(t, "page "+urls[i].Path, r.Value)
		}
		assert.Equal(t, map[string]int{"go.dev": 2, "example.org": 2}, most)
		assert.Equal(t, 2*time.Second, time.Since(began)) // 4 pages of each, 2 at once
	})
}
