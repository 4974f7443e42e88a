package await_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/ascompleted/await"
)

// The key of each task comes back with its result.
func ExampleAsCompletedSeq() {
	lines := func(yield func(string) bool) { // from a file, a database, a channel
		_ = yield("one") && yield("three") && yield("fourteen")
	}
	length := func(_ context.Context, line string) (int, error) { return len(line), nil }
	for line, r := range await.AsCompletedSeq(context.Background(), await.TaskSeq(lines, length), await.Limit(1)) {
		fmt.Println(line, r.Value)
	}
	// Output:
	// one 3
	// three 5
	// fourteen 8
}

// A map of tasks is a sequence of named tasks.
func ExampleAsCompletedSeq_named() {
	checks := map[string]await.Task[string]{
		"database": takes(200*time.Millisecond, "up"),
		"cache":    takes(0, "up"),
		"mail":     takes(100*time.Millisecond, "slow"),
	}
	for name, r := range await.AsCompletedSeq(context.Background(), maps.All(checks)) {
		fmt.Println(name, r.Value)
	}
	// Output:
	// cache up
	// mail slow
	// database up
}

// A million inputs take no more memory than a few: the sequence is pulled as
// the tasks get on.
func ExampleAsCompletedSeq_million() {
	numbers := func(yield func(int) bool) {
		for i := 0; i < 1_000_000 && yield(i); i++ {
		}
	}
	square := func(_ context.Context, i int) (int64, error) { return int64(i) * int64(i), nil }
	var sum int64
	for _, r := range await.AsCompletedSeq(context.Background(), await.TaskSeq(numbers, square), await.Limit(64)) {
		sum += r.Value
	}
	fmt.Println(sum)
	// Output:
	// 333332833333500000
}

func ExampleInOrderSeq() {
	delays := slices.Values([]time.Duration{200, 0, 100})
	wait := func(ctx context.Context, d time.Duration) (string, error) {
		return takes(d*time.Millisecond, fmt.Sprintf("waited %d ms", d))(ctx)
	}
	for _, r := range await.InOrderSeq(context.Background(), await.TaskSeq(delays, wait), await.Limit(3)) {
		fmt.Println(r.Value)
	}
	// Output:
	// waited 200 ms
	// waited 0 ms
	// waited 100 ms
}

func ExampleTaskSeq() {
	var channel = make(chan int, 3)
	for i := range 3 {
		channel <- i
	}
	close(channel)
	inputs := func(yield func(int) bool) { // the values of a channel
		for v := range channel {
			if !yield(v) {
				return
			}
		}
	}
	double := func(_ context.Context, v int) (int, error) { return 2 * v, nil }
	for in, r := range await.InOrderSeq(context.Background(), await.TaskSeq(inputs, double)) {
		fmt.Println(in, r.Value)
	}
	// Output:
	// 0 0
	// 1 2
	// 2 4
}

// A crawler finds links as it goes, and visits each page once.
func ExampleQueue() {
	pages := map[string]string{
		"/":     `<a href="/a"> <a href="/b">`,
		"/a":    `<a href="/b"> <a href="/a/1">`,
		"/b":    `<a href="/">`,
		"/a/1":  `<a href="/gone">`,
		"/lost": `nobody links here`,
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, page)
	}))
	defer site.Close()

	link := regexp.MustCompile(`href="([^"]+)"`)
	load := func(path string) await.Task[[]string] {
		return func(ctx context.Context) (links []string, err error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, site.URL+path, nil)
			if err != nil {
				return nil, err
			}
			resp, err := site.Client().Do(req)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("status %d", resp.StatusCode)
			}
			body, err := io.ReadAll(resp.Body)
			for _, match := range link.FindAllStringSubmatch(string(body), -1) {
				links = append(links, match[1])
			}
			return links, err
		}
	}

	var queue await.Queue[string, []string]
	seen := map[string]error{}
	visit := func(path string) {
		if _, ok := seen[path]; !ok {
			seen[path] = nil
			queue.Add(path, load(path))
		}
	}
	visit("/")
	for path, r := range queue.AsCompleted(context.Background(), await.Limit(4)) {
		seen[path] = r.Err
		for _, next := range r.Value {
			visit(next)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(seen)) {
		fmt.Println(path, seen[path])
	}
	// Output:
	// / <nil>
	// /a <nil>
	// /a/1 <nil>
	// /b <nil>
	// /gone status 404
}

// Two calls share one limit: together they never run more than two tasks.
func ExampleLimiter() {
	var mu sync.Mutex
	running, most := 0, 0
	task := func(ctx context.Context, _ int) (int, error) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		defer func() {
			mu.Lock()
			running--
			mu.Unlock()
		}()
		return takes(5*time.Millisecond, 1)(ctx)
	}
	inputs := make([]int, 5)

	limiter := await.NewLimiter(2)
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			await.Settle(context.Background(), await.Tasks(inputs, task), await.Within(limiter))
		})
	}
	calls.Wait()
	fmt.Println("at most", most, "at once")
	// Output:
	// at most 2 at once
}

func ExampleNewLimiter() {
	database := await.NewLimiter(10) // as many as it has connections
	values, err := await.Gather(context.Background(), []await.Task[int]{takes(0, 1)}, await.Within(database))
	fmt.Println(values, err)
	// Output:
	// [1] <nil>
}

// A task may run a call within the limiter that it runs in itself: it lends
// its place. Here the depth is three, and the limit one.
func ExampleWithin() {
	limiter := await.NewLimiter(1)
	var sum func(ctx context.Context, depth int) (int, error)
	sum = func(ctx context.Context, depth int) (int, error) {
		if depth == 0 {
			return 1, nil
		}
		parts, err := await.Gather(ctx, await.Tasks([]int{depth - 1, depth - 1}, sum), await.Within(limiter))
		if err != nil {
			return 0, err
		}
		return parts[0] + parts[1], nil
	}
	fmt.Println(sum(context.Background(), 3))
	// Output:
	// 8 <nil>
}

// A pipeline: the results of one stage are the inputs of the next, each with
// a limit of its own.
func ExampleAsCompletedSeq_pipeline() {
	ctx := context.Background()
	double := func(_ context.Context, v int) (int, error) { return 2 * v, nil }
	text := func(_ context.Context, v int) (string, error) { return fmt.Sprint("<", v, ">"), nil }

	var doubled iter.Seq[int] = func(yield func(int) bool) {
		for _, r := range await.InOrderSeq(ctx, await.TaskSeq(slices.Values([]int{1, 2, 3}), double), await.Limit(2)) {
			if r.Err == nil && !yield(r.Value) {
				return
			}
		}
	}
	for _, r := range await.InOrderSeq(ctx, await.TaskSeq(doubled, text), await.Limit(4)) {
		fmt.Println(r.Value)
	}
	// Output:
	// <2>
	// <4>
	// <6>
}
