package docs_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/destel/rill"
	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"

	"github.com/ascompleted/await"
)

func Example_asCompleted() {
	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, fetch)) {
		if r.Err != nil {
			log.Printf("%s: %v", urls[i], r.Err)
			continue
		}
		process(r.Value)
	}
	// Unordered output:
	// page /a
	// page /b
	// /gone: 404 Not Found
}

func Example_whenEach() {
	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, fetch)) {
		fmt.Println(urls[i], r.Value, r.Err)
	}
	// Unordered output:
	// /a page /a <nil>
	// /b page /b <nil>
	// /gone  404 Not Found
}

func Example_gather() {
	pages, err := await.Gather(ctx, await.Tasks(urls, fetch))
	fmt.Println(len(pages), err)
	outcomes := await.Settle(ctx, await.Tasks(urls, fetch))
	fmt.Println(outcomes)
	// Output:
	// 3 404 Not Found
	// [{page /a <nil>} {page /b <nil>} { 404 Not Found}]
}

func Example_timeout() {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pages, err := await.Gather(ctx, await.Tasks(urls, fetch), await.Limit(8))
	fmt.Println(len(pages), err)
	// Output:
	// 3 404 Not Found
}

func Example_limitedAsCompleted() {
	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, fetch), await.Limit(8)) {
		if r.Err != nil {
			fmt.Println(urls[i], r.Err)
			continue
		}
		process(r.Value)
	}
	// Unordered output:
	// page /a
	// page /b
	// /gone 404 Not Found
}

func Example_executorMap() {
	for i, r := range await.InOrder(ctx, await.Tasks(urls, fetch), await.Limit(8)) {
		if r.Err != nil {
			fmt.Println(urls[i], r.Err)
			break
		}
		process(r.Value)
	}
	// Output:
	// page /a
	// page /b
	// /gone 404 Not Found
}

func Example_wait() {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	outcomes := await.Settle(ctx, await.Tasks(urls, fetch), await.Limit(8))
	fmt.Println(outcomes)
	// Output:
	// [{page /a <nil>} {page /b <nil>} { 404 Not Found}]
}

func Example_gather2() {
	user, orders, err := await.Gather2(ctx, findUser, findOrders)
	fmt.Println(user, orders, err)
	// Output:
	// Ada [tea milk] <nil>
}

func Example_promises() {
	pages, err := await.Gather(ctx, await.Tasks(urls, fetch))
	fmt.Println(len(pages), err)
	outcomes := await.Settle(ctx, await.Tasks(urls, fetch))
	fmt.Println(outcomes)
	i, page, err := await.First(await.AsCompleted(ctx, await.Tasks(mirrors, fetch)))
	fmt.Println(mirrors[i], page, err)
	// Output:
	// 3 404 Not Found
	// [{page /a <nil>} {page /b <nil>} { 404 Not Found}]
	// /a page /a <nil>
}

func Example_joiners() {
	pages, err := await.Gather(ctx, await.Tasks(urls, fetch))
	fmt.Println(len(pages), err)
	i, page, err := await.First(await.AsCompleted(ctx, await.Tasks(mirrors, fetch)))
	fmt.Println(mirrors[i], page, err)
	// Output:
	// 3 404 Not Found
	// /a page /a <nil>
}

func Example_sequence() {
	for url, r := range await.AsCompletedSeq(ctx, await.TaskSeq(inputs, fetch), await.Limit(8)) {
		fmt.Println(url, r.Value, r.Err)
	}
	// Unordered output:
	// /a page /a <nil>
	// /b page /b <nil>
	// /gone  404 Not Found
}

func Example_inOrder() {
	for url, r := range await.InOrderSeq(ctx, await.TaskSeq(inputs, fetch), await.Limit(8), await.Buffer(8)) {
		fmt.Println(url, r.Value, r.Err)
	}
	// Output:
	// /a page /a <nil>
	// /b page /b <nil>
	// /gone  404 Not Found
}

func Example_queue() {
	var queue await.Queue[string, Page]
	add := func(url string) {
		queue.Add(url, func(ctx context.Context) (Page, error) { return fetch(ctx, url) })
	}
	add("/")
	for url, r := range queue.AsCompleted(ctx) {
		fmt.Println(url, r.Value, r.Err)
		for _, link := range links(r.Value) {
			add(link)
		}
	}
	// Unordered output:
	// / page / <nil>
	// /a page /a <nil>
	// /b page /b <nil>
	// /gone  404 Not Found
}

func Example_errgroup() {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	pages := make([]Page, len(urls))
	for i, url := range urls {
		group.Go(func() (err error) {
			pages[i], err = fetch(ctx, url)
			return err
		})
	}
	err := group.Wait()
	fmt.Println(len(pages), err)
	// Output:
	// 3 404 Not Found
}

func Example_limitedGather() {
	pages, err := await.Gather(ctx, await.Tasks(urls, fetch), await.Limit(8))
	fmt.Println(len(pages), err)
	// Output:
	// 3 404 Not Found
}

func Example_concPool() {
	group := pool.NewWithResults[Page]().WithContext(ctx).WithCancelOnError().WithMaxGoroutines(8)
	for _, url := range urls {
		group.Go(func(ctx context.Context) (Page, error) { return fetch(ctx, url) })
	}
	pages, err := group.Wait()
	fmt.Println(len(pages), err)
	// Output:
	// 2 404 Not Found
}

func Example_rill() {
	pages := rill.Map(rill.FromSeq(inputs, nil), 8, func(url string) (Page, error) {
		return fetch(ctx, url)
	})
	for page, err := range rill.ToSeq2(pages) {
		fmt.Println(page, err)
	}
	// Unordered output:
	// page /a <nil>
	// page /b <nil>
	//  404 Not Found
}
