package natswork_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/embedded"
	"github.com/ascompleted/await/internal/recipes/remote/keys"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// The server and the worker are in this process, to have all in one place.
func Example() {
	url, dir, stop := exampleServer()
	defer stop()
	callers, err := natswork.Connect(url, natswork.Caller, dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer callers.Close()
	workers, err := natswork.Connect(url, natswork.Worker, dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer workers.Close()

	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() {
		fmt.Println("worker:", natswork.Work(ctx, workers, func(_ context.Context, job []byte) ([]byte, error) {
			return bytes.ToUpper(job), nil
		}))
	})
	defer worker.Wait()
	defer cancel()

	queue, err := natswork.NewQueue(ctx, callers)
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

func exampleServer() (url string, dir keys.Dir, stop func()) {
	temp, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	dir = keys.Dir(filepath.Join(temp, "keys"))
	if err := dir.Make(); err != nil {
		panic(err)
	}
	config, err := natswork.Config(dir)
	if err != nil {
		panic(err)
	}
	server, err := embedded.Serve(config, temp, embedded.AnyPort)
	if err != nil {
		panic(err)
	}
	return server.ClientURL(), dir, func() {
		server.Shutdown()
		os.RemoveAll(temp) //nolint:errcheck // it is in the folder for what may be lost
	}
}
