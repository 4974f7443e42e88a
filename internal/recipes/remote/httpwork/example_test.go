package httpwork_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/httpwork"
	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

// The workers are in this process, to have all in one place.
func Example() {
	dir, remove := exampleKeys()
	defer remove()
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	var urls []string
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			return
		}
		urls = append(urls, "https://"+listener.Addr().String())
		workers.Go(func() {
			fmt.Println("worker:", httpwork.Serve(ctx, listener, dir, func(_ context.Context, job []byte) ([]byte, error) {
				return bytes.ToUpper(job), nil
			}))
		})
	}

	pool, err := httpwork.NewPool(dir, urls...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	jobs := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	for i, r := range await.AsCompleted(ctx, await.Tasks(jobs, pool.Do)) {
		fmt.Printf("%s: %s %v\n", jobs[i], r.Value, r.Err)
	}
	// Unordered output:
	// one: ONE <nil>
	// two: TWO <nil>
	// three: THREE <nil>
	// worker: context canceled
	// worker: context canceled
}

func exampleKeys() (dir keys.Dir, remove func()) {
	temp, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	dir = keys.Dir(filepath.Join(temp, "keys"))
	if err := dir.Make(); err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(temp) } //nolint:errcheck // it is in the folder for what may be lost
}
