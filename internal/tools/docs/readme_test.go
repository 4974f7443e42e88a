package docs_test

import (
	"fmt"

	"github.com/ascompleted/await"
)

func Example_readme() {
	// all values in input order, or the first error, which cancels the rest
	pages, err := await.Gather(ctx, await.Tasks(urls, fetch), await.Limit(8))
	fmt.Println(len(pages), err)

	// the first success; the rest is canceled
	i, page, err := await.First(await.AsCompleted(ctx, await.Tasks(mirrors, fetch)))
	fmt.Println(mirrors[i], page, err)

	// an iterator as input, pulled lazily; its values come back as keys
	for url, r := range await.AsCompletedSeq(ctx, await.TaskSeq(inputs, fetch), await.Limit(8)) {
		if r.Err != nil {
			break // cancels what still runs, and waits for it
		}
		fmt.Println(url, r.Value)
	}

	// Unordered output:
	// 3 404 Not Found
	// /a page /a <nil>
	// /a page /a
	// /b page /b
}
