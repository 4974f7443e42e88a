package natswork_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/embedded"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// The server and the worker are in this process, to have all in one place.
func Example() {
	url, stop := exampleServer()
	defer stop()
	nc, err := natswork.Connect(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nc.Close()

	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() {
		fmt.Println("worker:", natswork.Work(ctx, nc, func(_ context.Context, job []byte) ([]byte, error) {
			return bytes.ToUpper(job), nil
		}))
	})
	defer worker.Wait()
	defer cancel()

	queue, err := natswork.NewQueue(ctx, nc)
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	for i, r := range await.AsCompleted(ctx, await.Tasks(jobs, queue.Do)) {
		fmt.Printf("%s: %s %v\n", jobs[i], r.Value, r.Err)
	}
	// Unordered output:
	// one: ONE <nil>
	// two: TWO <nil>
	// three: THREE <nil>
	// worker: context canceled
}

func exampleServer() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	server, err := embedded.Serve(dir, embedded.AnyPort)
	if err != nil {
		panic(err)
	}
	return server.ClientURL(), func() {
		server.Shutdown()
		os.RemoveAll(dir) //nolint:errcheck // it is in the folder for what may be lost
	}
}
