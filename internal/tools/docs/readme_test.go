package docs_test

import (
	"log"

	"github.com/ascompleted/await"
)

func Example_readme() {
	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, fetch), await.Limit(8)) {
		if r.Err != nil {
			log.Printf("%s: %v", urls[i], r.Err)
			continue
		}
		process(r.Value) // runs as soon as this page is here, while the others are still loading
		if enough() {
			break // cancels the downloads that still run, and waits for them
		}
	}
	// nothing runs any more

	// Unordered output:
	// page /a
	// page /b
	// /gone: 404 Not Found
}
