package recipes_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ascompleted/await"
	_ "modernc.org/sqlite"
)

// Queries in parallel, as many at once as the pool has connections. One more
// would only wait, and in a program it would wait before others.
//
// Watch out that a task must not need a second connection while it holds one
// (a query while its Rows are open, or beside its Tx): when all tasks do that,
// all wait forever. The same holds for queries in the loop's body, which do
// not count against the limit, but they wait only until a task has ended.
func Example_database() {
	const connections = 2
	db, remove := openShop()
	defer remove()
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections) // else most are closed after each query

	sales := func(ctx context.Context, city string) (total int, err error) {
		rows, err := db.QueryContext(ctx, `SELECT price FROM sales WHERE city = ?`, city)
		if err != nil {
			return 0, err
		}
		defer func() { _ = rows.Close() }() // rows.Err says if something went wrong
		for rows.Next() {
			var price int
			if err := rows.Scan(&price); err != nil {
				return 0, err
			}
			total += price
			time.Sleep(time.Millisecond) // whatever is done with the row
		}
		return total, rows.Err()
	}

	ctx := context.Background()
	cities := []string{"Oslo", "Rome", "Cairo", "Lima", "Kyoto", "Quito"}
	totals, err := await.Gather(ctx, await.Tasks(cities, sales), await.Limit(connections))
	fmt.Println(totals, err)
	fmt.Println("queries that waited for a connection:", db.Stats().WaitCount)
	// Output:
	// [11 22 33 44 55 66] <nil>
	// queries that waited for a connection: 0
}

// openShop makes a database file, and the function that removes it.
func openShop() (db *sql.DB, remove func()) {
	dir, err := os.MkdirTemp("", "shop")
	must(err)
	db, err = sql.Open("sqlite", filepath.Join(dir, "shop.db"))
	must(err)
	_, err = db.Exec(`
		CREATE TABLE sales (city TEXT, price INTEGER);
		INSERT INTO sales VALUES
			('Oslo', 10), ('Rome', 20), ('Cairo', 30), ('Lima', 40), ('Kyoto', 50), ('Quito', 60),
			('Oslo', 1), ('Rome', 2), ('Cairo', 3), ('Lima', 4), ('Kyoto', 5), ('Quito', 6)`)
	must(err)
	return db, func() {
		must(db.Close())
		must(os.RemoveAll(dir))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
