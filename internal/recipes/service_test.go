package recipes_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
)

// thumbnails is a handler that scales several images for each request. However
// many requests there are, no more images are scaled at once than the limiter
// has slots: make one when the program starts.
//
// One task of each request waits for a slot at a time, in turn, so a request for
// a thousand images does not delay one for two. A request whose client has gone
// waits no longer. Watch out to pass the task's context to calls inside it that
// use the same limiter: that is how they know they may use its slot.
func thumbnails(slots *await.Limiter, scale func(ctx context.Context, image string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		images := r.URL.Query()["image"]
		small, err := await.Gather(r.Context(), await.Tasks(images, scale), await.Within(slots))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprint(w, small)
	}
}

func TestRequestsShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		scale := func(_ context.Context, image string) (string, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return "small " + image, nil
		}
		handler := thumbnails(await.NewLimiter(2), scale)

		began := time.Now()
		var clients sync.WaitGroup
		for range 3 {
			clients.Go(func() {
				answer := httptest.NewRecorder()
				handler(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?image=cat&image=dog", http.NoBody))
				assert.Equal(t, "[small cat small dog]", answer.Body.String())
			})
		}
		clients.Wait()
		assert.Equal(t, 2, most)
		assert.Equal(t, 3*time.Second, time.Since(began)) // 6 images, 2 at once
	})
}
