package httpwork_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/httpwork"
)

// The workers are in this process, to have all in one place.
func Example() {
	worker := httpwork.Handler(func(_ context.Context, job []byte) ([]byte, error) {
		return bytes.ToUpper(job), nil
	})
	a, b := httptest.NewServer(worker), httptest.NewServer(worker)
	defer a.Close()
	defer b.Close()

	pool := httpwork.NewPool(a.URL, b.URL)
	jobs := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	for i, r := range await.AsCompleted(context.Background(), await.Tasks(jobs, pool.Do)) {
		fmt.Printf("%s: %s %v\n", jobs[i], r.Value, r.Err)
	}
	// Unordered output:
	// one: ONE <nil>
	// two: TWO <nil>
	// three: THREE <nil>
}
