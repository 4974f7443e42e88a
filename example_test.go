package await_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/iotest"
	"time"

	"github.com/ascompleted/await"
)

// takes returns a function that takes that long, unless its context ends
// first, and then returns value.
func takes[T any](d time.Duration, value T) await.Task[T] {
	return func(ctx context.Context) (T, error) {
		select {
		case <-time.After(d):
			return value, nil
		case <-ctx.Done():
			var zero T
			return zero, context.Cause(ctx)
		}
	}
}

// Five calls of an API. Each answer is processed as soon as it arrives.
func Example() {
	delays := []time.Duration{500, 100, 300, 400, 200} // milliseconds
	call := func(ctx context.Context, delay time.Duration) (string, error) {
		select {
		case <-time.After(delay * time.Millisecond):
			return fmt.Sprintf("answer after %d ms", delay), nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}

	ctx := context.Background()
	for i, r := range await.AsCompleted(ctx, await.Tasks(delays, call)) {
		if r.Err != nil {
			fmt.Printf("call %d: %v\n", i, r.Err)
			continue
		}
		fmt.Printf("call %d: %s\n", i, r.Value)
	}
	// Output:
	// call 1: answer after 100 ms
	// call 4: answer after 200 ms
	// call 2: answer after 300 ms
	// call 3: answer after 400 ms
	// call 0: answer after 500 ms
}

// A kitchen serves each dish as soon as it is cooked. With Gather all tables
// wait for the slowest dish.
func Example_kitchen() {
	type order struct {
		table int
		dish  string
		cooks time.Duration
	}
	orders := []order{
		{1, "roast", 300 * time.Millisecond},
		{2, "salad", 50 * time.Millisecond},
		{3, "pasta", 150 * time.Millisecond},
	}
	cook := func(ctx context.Context, o order) (string, error) {
		return takes(o.cooks, o.dish)(ctx)
	}
	ctx := context.Background()

	fmt.Println("as completed:")
	for i, r := range await.AsCompleted(ctx, await.Tasks(orders, cook)) {
		fmt.Printf("  table %d gets its %s\n", orders[i].table, r.Value)
	}

	fmt.Println("gathered:")
	dishes, err := await.Gather(ctx, await.Tasks(orders, cook))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("  all is cooked")
	for i, dish := range dishes {
		fmt.Printf("  table %d gets its %s\n", orders[i].table, dish)
	}
	// Output:
	// as completed:
	//   table 2 gets its salad
	//   table 3 gets its pasta
	//   table 1 gets its roast
	// gathered:
	//   all is cooked
	//   table 1 gets its roast
	//   table 2 gets its salad
	//   table 3 gets its pasta
}

// Fetch a hundred pages of varying latency, twenty at a time, and count them as
// they arrive.
func Example_progress() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/page/"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		time.Sleep(time.Duration(page*7%10) * time.Millisecond)
		io.WriteString(w, strings.Repeat("x", page))
	}))
	defer server.Close()

	var urls []string
	for page := range 100 {
		urls = append(urls, fmt.Sprintf("%s/page/%d", server.URL, page))
	}
	size := func(ctx context.Context, url string) (int64, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return io.Copy(io.Discard, resp.Body)
	}

	ctx := context.Background()
	var done int
	var bytes int64
	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, size), await.Limit(20)) {
		if r.Err != nil {
			fmt.Printf("%s: %v\n", urls[i], r.Err)
			continue
		}
		done++
		bytes += r.Value
		if done%25 == 0 {
			fmt.Printf("%d of %d pages\n", done, len(urls))
		}
	}
	fmt.Println(bytes, "bytes")
	// Output:
	// 25 of 100 pages
	// 50 of 100 pages
	// 75 of 100 pages
	// 100 of 100 pages
	// 4950 bytes
}

// Start no more tasks when the context ends, but finish those that run: the
// task works with a context that is not canceled.
func Example_finishWhatRuns() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	save := func(ctx context.Context, name string) (string, error) {
		if name == "b" {
			cancel() // as signal.NotifyContext does on Ctrl-C
		}
		return takes(10*time.Millisecond, "saved")(context.WithoutCancel(ctx))
	}
	names := []string{"a", "b", "c"}
	for i, r := range await.InOrder(ctx, await.Tasks(names, save), await.Limit(1)) {
		if errors.Is(r.Err, await.ErrNotStarted) {
			fmt.Println(names[i], "not started")
			continue
		}
		fmt.Println(names[i], r.Value, r.Err)
	}
	// Output:
	// a saved <nil>
	// b saved <nil>
	// c not started
}

func ExampleAsCompleted() {
	tasks := []await.Task[string]{
		takes(100*time.Millisecond, "slow"),
		takes(0, "quick"),
	}
	for i, r := range await.AsCompleted(context.Background(), tasks) {
		fmt.Println(i, r.Value, r.Err)
	}
	// Output:
	// 1 quick <nil>
	// 0 slow <nil>
}

// Leaving the loop cancels the running tasks and waits for them.
func ExampleAsCompleted_break() {
	forever := func(ctx context.Context) (string, error) {
		<-ctx.Done()
		fmt.Println("canceled:", context.Cause(ctx))
		return "", ctx.Err()
	}
	for _, r := range await.AsCompleted(context.Background(), []await.Task[string]{forever, takes(0, "one is enough")}) {
		fmt.Println(r.Value)
		break
	}
	fmt.Println("nothing runs anymore")
	// Output:
	// one is enough
	// canceled: await: the loop over the results has ended
	// nothing runs anymore
}

// Results that arrived before the deadline are kept.
func ExampleAsCompleted_timeout() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	tasks := []await.Task[string]{
		takes(time.Hour, "never"),
		takes(0, "in time"),
	}
	for i, r := range await.AsCompleted(ctx, tasks) {
		fmt.Printf("%d: %q %v\n", i, r.Value, r.Err)
	}
	// Output:
	// 1: "in time" <nil>
	// 0: "" context deadline exceeded
}

func ExampleInOrder() {
	tasks := []await.Task[string]{
		takes(100*time.Millisecond, "slow"),
		takes(0, "quick"),
	}
	for i, r := range await.InOrder(context.Background(), tasks) {
		fmt.Println(i, r.Value, r.Err)
	}
	// Output:
	// 0 slow <nil>
	// 1 quick <nil>
}

// The key of each task comes back with its result.
func ExampleAsCompletedSeq() {
	words := slices.Values([]string{"one", "three", "fourteen"})
	length := func(_ context.Context, word string) (int, error) { return len(word), nil }
	for word, r := range await.AsCompletedSeq(context.Background(), await.TaskSeq(words, length), await.Limit(1)) {
		fmt.Println(word, r.Value)
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

// All results in a map, by their keys. If ctx ends early, there is a key whose
// error matches ErrNotStarted.
func ExampleAsCompletedSeq_collect() {
	checks := map[string]await.Task[string]{
		"cache":    takes(0, "up"),
		"database": func(context.Context) (string, error) { return "down", errors.New("no route to host") },
	}
	status := maps.Collect(await.AsCompletedSeq(context.Background(), maps.All(checks)))
	for _, name := range slices.Sorted(maps.Keys(status)) {
		fmt.Println(name, status[name].Value, status[name].Err)
	}
	// Output:
	// cache up <nil>
	// database down no route to host
}

// A million inputs take no more memory than a few, because the sequence is
// pulled lazily.
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

// Two stages, each with a limit of its own. The results of the first are the
// inputs of the second, its errors too. OnCancel ends the first stage when the
// loop over the second one is left.
func ExampleAsCompletedSeq_pipeline() {
	ctx := context.Background()
	parsing, cancel := context.WithCancel(ctx)
	defer cancel()

	parse := func(_ context.Context, text string) (int, error) { return strconv.Atoi(text) }
	texts := slices.Values([]string{"1", "two", "3"})
	parsed := func(yield func(int, error) bool) {
		for _, r := range await.InOrderSeq(parsing, await.TaskSeq(texts, parse), await.Limit(2)) {
			if !yield(r.Value, r.Err) {
				return
			}
		}
	}

	square := func(_ context.Context, n int) (int, error) { return n * n, nil }
	for n, r := range await.InOrderSeq(ctx, await.TaskSeq2(parsed, square), await.Limit(4), await.OnCancel(cancel)) {
		if r.Err != nil {
			fmt.Println(r.Err)
			continue
		}
		fmt.Println(n, r.Value)
	}
	// Output:
	// 1 1
	// strconv.Atoi: parsing "two": invalid syntax
	// 3 9
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

// A slice of plain functions is a []Task.
func ExampleTask() {
	tasks := []func(ctx context.Context) (int, error){
		func(context.Context) (int, error) { return 1, nil },
		func(context.Context) (int, error) { return 2, nil },
	}
	values, err := await.Gather(context.Background(), tasks)
	fmt.Println(values, err)
	// Output:
	// [1 2] <nil>
}

// A task may return a value and an error: both are kept.
func ExampleResult() {
	partial := func(context.Context) (string, error) { return "half a page", io.ErrUnexpectedEOF }
	results := await.Settle(context.Background(), []await.Task[string]{partial})
	fmt.Printf("%q %v\n", results[0].Value, results[0].Err)
	// Output:
	// "half a page" unexpected EOF
}

func ExampleTasks() {
	length := func(_ context.Context, word string) (int, error) { return len(word), nil }
	tasks := await.Tasks([]string{"one", "three"}, length)
	values, err := await.Gather(context.Background(), tasks)
	fmt.Println(values, err)
	// Output:
	// [3 5] <nil>
}

// Tasks by number. Here each one fills its own place of a slice.
func ExampleTimes() {
	squares := make([]int, 5)
	_, err := await.Gather(context.Background(), await.Times(len(squares), func(_ context.Context, i int) (struct{}, error) {
		squares[i] = i * i
		return struct{}{}, nil
	}))
	fmt.Println(squares, err)
	// Output:
	// [0 1 4 9 16] <nil>
}

func ExampleTaskSeq() {
	inputs := slices.Values([]int{0, 1, 2}) // or the values of a channel, the lines of a file
	double := func(_ context.Context, v int) (int, error) { return 2 * v, nil }
	for in, r := range await.InOrderSeq(context.Background(), await.TaskSeq(inputs, double)) {
		fmt.Println(in, r.Value)
	}
	// Output:
	// 0 0
	// 1 2
	// 2 4
}

// An input that comes with an error becomes a result with that error.
func ExampleTaskSeq2() {
	pages := func(yield func(string, error) bool) { // of an API, say
		_ = yield("page 1", nil) && yield("page 2", nil) && yield("", errors.New("token expired"))
	}
	length := func(_ context.Context, page string) (int, error) { return len(page), nil }
	for page, r := range await.InOrderSeq(context.Background(), await.TaskSeq2(pages, length), await.Limit(2)) {
		if r.Err != nil {
			fmt.Println(r.Err)
			continue
		}
		fmt.Println(page, r.Value)
	}
	// Output:
	// page 1 6
	// page 2 6
	// token expired
}

// The lines of a file, up to eight at a time. An error of the scanner is the last
// result. Ctrl-C ends the loop when the running tasks have returned. The last
// result then has an error that matches ErrNotStarted.
func ExampleTaskSeq2_lines() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	file := io.MultiReader(strings.NewReader("one\nthree\n"), iotest.ErrReader(errors.New("input/output error")))
	lines := func(yield func(string, error) bool) {
		scanner := bufio.NewScanner(file)
		for scanner.Scan() {
			if !yield(scanner.Text(), nil) {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			yield("", err)
		}
	}
	length := func(_ context.Context, line string) (int, error) { return len(line), nil }
	for line, r := range await.InOrderSeq(ctx, await.TaskSeq2(lines, length), await.Limit(8)) {
		if r.Err != nil {
			fmt.Println(r.Err)
			break
		}
		fmt.Println(line, r.Value)
	}
	// Output:
	// one 3
	// three 5
	// input/output error
}

// Tasks that return only an error: Gather returns the first one.
func ExampleNoValue() {
	remove := func(_ context.Context, name string) error {
		if name == "b" {
			return errors.New("b: permission denied")
		}
		return nil
	}
	_, err := await.Gather(context.Background(), await.Tasks([]string{"a", "b", "c"}, await.NoValue(remove)), await.Limit(8))
	fmt.Println(err)
	// Output:
	// b: permission denied
}

// All errors, where Gather would stop at the first one.
func ExampleNoValue_allErrors() {
	remove := func(_ context.Context, name string) error {
		if name == "b" {
			return nil
		}
		return fmt.Errorf("%s: permission denied", name)
	}
	var errs []error
	for _, r := range await.Settle(context.Background(), await.Tasks([]string{"a", "b", "c"}, await.NoValue(remove))) {
		errs = append(errs, r.Err)
	}
	fmt.Println(errors.Join(errs...))
	// Output:
	// a: permission denied
	// c: permission denied
}

func ExampleGather() {
	tasks := []await.Task[string]{
		takes(100*time.Millisecond, "slow"),
		takes(0, "quick"),
	}
	values, err := await.Gather(context.Background(), tasks)
	fmt.Println(values, err)
	// Output:
	// [slow quick] <nil>
}

// The first error cancels the other tasks.
func ExampleGather_error() {
	tasks := []await.Task[string]{
		takes(time.Hour, "never"),
		func(context.Context) (string, error) { return "", errors.New("connection refused") },
	}
	_, err := await.Gather(context.Background(), tasks)
	fmt.Println(err)
	// Output:
	// connection refused
}

func ExampleSettle() {
	tasks := []await.Task[int]{
		takes(0, 1),
		func(context.Context) (int, error) { return 0, errors.New("connection refused") },
		takes(100*time.Millisecond, 3),
	}
	for i, r := range await.Settle(context.Background(), tasks) {
		fmt.Println(i, r.Value, r.Err)
	}
	// Output:
	// 0 1 <nil>
	// 1 0 connection refused
	// 2 3 <nil>
}

// The fastest of three mirrors that has the file.
func ExampleFirst() {
	mirrors := []await.Task[string]{
		func(context.Context) (string, error) { return "", errors.New("404 Not Found") },
		takes(time.Hour, "from the slow mirror"),
		takes(20*time.Millisecond, "from the quick mirror"),
	}
	i, file, err := await.First(await.AsCompleted(context.Background(), mirrors))
	fmt.Println(i, file, err)
	// Output:
	// 2 from the quick mirror <nil>
}

// Dial several addresses at once and keep the first connection. OnDiscard closes
// those that were established too late.
func ExampleFirst_dial() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	address := server.Listener.Addr().String()
	addresses := []string{address, address, address} // of the same host, as DNS has them

	dial := func(ctx context.Context, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	_, conn, err := await.First(await.AsCompleted(context.Background(), await.Tasks(addresses, dial),
		await.OnDiscard(func(late net.Conn) { late.Close() })))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(conn.RemoteAddr().String() == address)
	// Output:
	// true
}

func ExampleGather2() {
	name := func(context.Context) (string, error) { return "Ada", nil }
	age := func(context.Context) (int, error) { return 36, nil }
	n, a, err := await.Gather2(context.Background(), name, age)
	fmt.Println(n, a, err)
	// Output:
	// Ada 36 <nil>
}

func ExampleGather3() {
	name := func(context.Context) (string, error) { return "Ada", nil }
	age := func(context.Context) (int, error) { return 36, nil }
	langs := func(context.Context) ([]string, error) { return []string{"en", "fr"}, nil }
	n, a, l, err := await.Gather3(context.Background(), name, age, langs)
	fmt.Println(n, a, l, err)
	// Output:
	// Ada 36 [en fr] <nil>
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

// Tasks may add tasks. The loop ends when none is left.
func ExampleQueue_Add() {
	var queue await.Queue[string, int]
	queue.Add("parent", func(context.Context) (int, error) {
		queue.Add("child", takes(0, 2))
		return 1, nil
	})
	for name, r := range queue.AsCompleted(context.Background(), await.Limit(1)) {
		fmt.Println(name, r.Value)
	}
	// Output:
	// parent 1
	// child 2
}

// What a loop has not yielded stays in the queue for the next one.
func ExampleQueue_Len() {
	var queue await.Queue[string, int]
	for _, name := range []string{"a", "b", "c"} {
		queue.Add(name, takes(0, 1))
	}
	for name := range queue.AsCompleted(context.Background(), await.Limit(1)) {
		fmt.Println(name)
		break
	}
	fmt.Println(queue.Len(), "left")
	// Output:
	// a
	// 2 left
}

// Options are values, so a program can keep those that it always uses.
func ExampleOption() {
	usual := []await.Option{await.Limit(8), await.Name("download")}
	values, err := await.Gather(context.Background(), []await.Task[int]{takes(0, 1)}, usual...)
	fmt.Println(values, err)
	// Output:
	// [1] <nil>
}

// With a limit of 1 the tasks run one after another, in input order.
func ExampleLimit() {
	step := func(_ context.Context, n int) (int, error) {
		fmt.Println("step", n)
		return n, nil
	}
	await.Settle(context.Background(), await.Tasks([]int{1, 2, 3}, step), await.Limit(1))
	// Output:
	// step 1
	// step 2
	// step 3
}

// A loop that has stopped reading sees at most Limit + Buffer tasks started
// and not yet yielded.
func ExampleBuffer() {
	second := make(chan struct{})
	start := func(_ context.Context, n int) (int, error) {
		fmt.Println("start", n)
		if n == 2 {
			close(second)
		}
		return n, nil
	}
	ctx := context.Background()
	for _, r := range await.AsCompleted(ctx, await.Tasks([]int{1, 2, 3}, start), await.Limit(1), await.Buffer(0)) {
		if r.Value == 1 {
			<-second // task 2 starts while the loop is here, and 3 does not
			fmt.Println("the loop goes on")
		}
	}
	// Output:
	// start 1
	// start 2
	// the loop goes on
	// start 3
}

// A task may make a call within the limiter that it runs in itself, because it
// lends its slot. Here the depth is three, and the limit one.
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

// The goroutines of a call with a name can be found in profiles.
func ExampleName() {
	label := func(ctx context.Context) (string, error) {
		name, _ := pprof.Label(ctx, "await")
		return name, nil
	}
	values, _ := await.Gather(context.Background(), []await.Task[string]{label}, await.Name("download"))
	fmt.Println(values[0])
	// Output:
	// download
}

// A task that ignores its context does not delay the end of the loop.
func ExampleDetach() {
	wait := make(chan struct{})
	deaf := func(context.Context) (string, error) {
		<-wait
		return "too late", nil
	}
	for _, r := range await.AsCompleted(context.Background(), []await.Task[string]{deaf, takes(0, "quick")}, await.Detach()) {
		fmt.Println(r.Value)
		break
	}
	fmt.Println("left")
	close(wait)
	// Output:
	// quick
	// left
}

func ExampleRecover() {
	var table map[string]int
	tasks := []await.Task[int]{
		func(context.Context) (int, error) { table["x"]++; return 0, nil },
		takes(0, 2),
	}
	for i, r := range await.Settle(context.Background(), tasks, await.Recover()) {
		var p *await.PanicError
		if errors.As(r.Err, &p) {
			fmt.Println(i, "panicked:", p.Value)
			continue
		}
		fmt.Println(i, r.Value, r.Err)
	}
	// Output:
	// 0 panicked: assignment to entry in nil map
	// 1 2 <nil>
}

// A break must not wait for the next job, which may never come. So OnCancel ends
// the context on which the sequence selects.
func ExampleOnCancel() {
	jobs := make(chan string, 1)
	jobs <- "first job" // and no other

	ctx := context.Background()
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	inputs := func(yield func(string) bool) {
		for {
			select {
			case job := <-jobs:
				if !yield(job) {
					return
				}
			case <-reading.Done():
				return
			}
		}
	}
	work := func(_ context.Context, job string) (string, error) { return job + " done", nil }
	for _, r := range await.AsCompletedSeq(ctx, await.TaskSeq(inputs, work), await.OnCancel(cancel)) {
		fmt.Println(r.Value)
		break
	}
	fmt.Println("left")
	// Output:
	// first job done
	// left
}

// A value that does not reach the loop is closed: here a file that was opened
// too late.
func ExampleOnDiscard() {
	open := func(ctx context.Context, name string) (string, error) {
		if name == "slow" {
			<-ctx.Done()
		}
		return name + " file", nil
	}
	discard := await.OnDiscard(func(file string) { fmt.Println("close the", file) })
	for _, r := range await.AsCompleted(context.Background(), await.Tasks([]string{"slow", "fast"}, open), discard) {
		fmt.Println("use the", r.Value)
		break
	}
	// Output:
	// use the fast file
	// close the slow file
}

// The text of a TaskError is that of the task's own error. Index tells which
// task it was.
func ExampleTaskError() {
	files := []string{"a.txt", "b.txt"}
	read := func(_ context.Context, name string) (string, error) {
		if name == "b.txt" {
			return "", io.ErrUnexpectedEOF
		}
		return name, nil
	}
	_, err := await.Gather(context.Background(), await.Tasks(files, read))
	fmt.Println(err)
	var failed *await.TaskError
	if errors.As(err, &failed) {
		fmt.Printf("%s: %v\n", files[failed.Index], failed.Err)
	}
	// Output:
	// unexpected EOF
	// b.txt: unexpected EOF
}

// Without Recover a task's panic is raised again where the results are awaited.
func ExamplePanicError() {
	defer func() {
		p := recover().(*await.PanicError)
		fmt.Println("task", p.Key, "panicked:", p.Value)
		fmt.Println("has the stack of the task:", strings.Contains(string(p.Stack), "ExamplePanicError.func"))
	}()
	tasks := []await.Task[int]{func(context.Context) (int, error) { panic("boom") }}
	values, err := await.Gather(context.Background(), tasks)
	fmt.Println("not reached:", values, err)
	// Output:
	// task 0 panicked: boom
	// has the stack of the task: true
}

func ExampleErrGoexit() {
	tasks := []await.Task[int]{func(context.Context) (int, error) { runtime.Goexit(); return 1, nil }}
	_, err := await.Gather(context.Background(), tasks)
	fmt.Println(errors.Is(err, await.ErrGoexit))
	// Output:
	// true
}

func ExampleErrNotStarted() {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("the shop is closed"))
	for _, r := range await.AsCompleted(ctx, []await.Task[int]{takes(0, 1)}) {
		fmt.Println(r.Err)
		fmt.Println(errors.Is(r.Err, await.ErrNotStarted), errors.Is(r.Err, context.Cause(ctx)))
	}
	// Output:
	// await: the task was not started: the shop is closed
	// true true
}

func ExampleErrStopped() {
	loser := func(ctx context.Context) (string, error) {
		<-ctx.Done()
		fmt.Println(context.Cause(ctx) == await.ErrStopped)
		return "", ctx.Err()
	}
	tasks := []await.Task[string]{loser, takes(0, "winner")}
	_, value, err := await.First(await.AsCompleted(context.Background(), tasks))
	fmt.Println(value, err)
	// Output:
	// true
	// winner <nil>
}

func ExampleErrNoTasks() {
	_, _, err := await.First(await.AsCompleted(context.Background(), []await.Task[int]{}))
	fmt.Println(err)
	// Output:
	// await: no tasks
}
