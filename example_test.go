package await_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
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

// Five calls of an API, and each answer is processed the moment it arrives.
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

// A kitchen brings each dish to its table as soon as it is cooked, whatever
// the order of the orders. With Gather everybody waits for the slowest dish.
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

// A hundred pages of different speed are fetched, twenty at a time, and
// counted as they come in.
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

// Leaving the loop cancels what still runs and waits for it.
func ExampleAsCompleted_break() {
	forever := func(ctx context.Context) (string, error) {
		<-ctx.Done()
		fmt.Println("cancelled:", context.Cause(ctx))
		return "", ctx.Err()
	}
	for _, r := range await.AsCompleted(context.Background(), []await.Task[string]{forever, takes(0, "one is enough")}) {
		fmt.Println(r.Value)
		break
	}
	fmt.Println("nothing runs any more")
	// Output:
	// one is enough
	// cancelled: await: the loop over the results has ended
	// nothing runs any more
}

// What has arrived when the time is up counts.
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

// The first failure cancels the rest.
func ExampleGather_error() {
	tasks := []await.Task[string]{
		takes(time.Hour, "never"),
		func(context.Context) (string, error) { return "", errors.New("connection refused") },
	}
	_, err := await.Gather(context.Background(), tasks)
	fmt.Println(err)
	// Output:
	// task 1: connection refused
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

// The quickest of three mirrors that has the file.
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

func ExampleTasks() {
	length := func(_ context.Context, word string) (int, error) { return len(word), nil }
	tasks := await.Tasks([]string{"one", "three"}, length)
	values, err := await.Gather(context.Background(), tasks)
	fmt.Println(values, err)
	// Output:
	// [3 5] <nil>
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
	start := func(_ context.Context, n int) (int, error) {
		fmt.Println("start", n)
		return n, nil
	}
	ctx := context.Background()
	for _, r := range await.AsCompleted(ctx, await.Tasks([]int{1, 2, 3}, start), await.Limit(1), await.Buffer(0)) {
		if r.Value == 1 {
			time.Sleep(100 * time.Millisecond) // time enough for task 2, but not for 3
			fmt.Println("the loop goes on")
		}
	}
	// Output:
	// start 1
	// start 2
	// the loop goes on
	// start 3
}

// The goroutines of a call with a name are found in profiles.
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

// A task that does not heed its context does not hold up the loop's end.
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

// Without Recover a task's panic is raised again where the results are
// awaited.
func ExamplePanicError() {
	defer func() {
		p := recover().(*await.PanicError)
		fmt.Println("value:", p.Value)
		fmt.Println("has the stack of the task:", strings.Contains(string(p.Stack), "ExamplePanicError.func"))
	}()
	tasks := []await.Task[int]{func(context.Context) (int, error) { panic("boom") }}
	values, err := await.Gather(context.Background(), tasks)
	fmt.Println("not reached:", values, err)
	// Output:
	// value: boom
	// has the stack of the task: true
}

func ExampleTaskError() {
	tasks := []await.Task[int]{
		takes(0, 1),
		func(context.Context) (int, error) { return 0, io.ErrUnexpectedEOF },
	}
	_, err := await.Gather(context.Background(), tasks)
	var failed *await.TaskError
	if errors.As(err, &failed) {
		fmt.Println(failed.Index, failed.Err, errors.Is(err, io.ErrUnexpectedEOF))
	}
	// Output:
	// 1 unexpected EOF true
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
