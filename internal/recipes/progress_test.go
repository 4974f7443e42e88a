package recipes_test

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/ascompleted/await"
	"github.com/schollz/progressbar/v3"
)

// A progress bar that moves with every task that ends.
//
// The loop's body is one goroutine, so the bar needs no lock, and it may print.
// Watch out that a failed task moves the bar too, or it never gets full; and
// end the bar when you leave the loop early (Exit, or Abort and Wait in mpb).
func Example_progress() {
	files := []string{"a.jpg", "b.jpg", "c.jpg", "d.jpg"}
	bar := progressbar.NewOptions(len(files),
		progressbar.OptionSetDescription("resizing"),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(20),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetWriter(io.Discard), // os.Stderr in a program
	)

	for i, r := range await.AsCompleted(context.Background(), await.Tasks(files, resize), await.Limit(2)) {
		if r.Err != nil {
			fmt.Printf("%s: %v\n", files[i], r.Err)
		}
		_ = bar.Add(1)
		fmt.Println(strings.TrimSpace(bar.String())) // not needed if the bar is seen
	}
	// Output:
	// resizing  25% |█████               | (1/4)
	// resizing  50% |██████████          | (2/4)
	// resizing  75% |███████████████     | (3/4)
	// resizing 100% |████████████████████| (4/4)
}

func resize(_ context.Context, file string) (string, error) {
	return "small-" + file, nil
}
