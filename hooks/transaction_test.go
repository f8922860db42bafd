package hooks

import (
	"database/sql"
	"runtime"
	"testing"

	"github.com/google/uuid"
)

func TestChangeSetsKeepOneForEachTransaction(t *testing.T) {
	var sets changeSets
	txs := make([]*sql.Tx, 3*minSwept)
	ids := make([]uuid.UUID, len(txs))
	for i := range txs {
		txs[i], ids[i] = new(sql.Tx), uuid.New()
		if got := sets.of(txs[i], ids[i]); got != ids[i] {
			t.Fatalf("the first change set of transaction %d is %s, want the given %s", i, got, ids[i])
		}
	}
	for i, tx := range txs {
		if got := sets.of(tx, uuid.New()); got != ids[i] {
			t.Errorf("the change set of transaction %d became %s, want %s", i, got, ids[i])
		}
	}
}

func TestChangeSetsForgetTransactionsThatAreGone(t *testing.T) {
	var sets changeSets
	kept := new(sql.Tx)
	want := sets.of(kept, uuid.New())
	for range 10 {
		for range minSwept {
			sets.of(new(sql.Tx), uuid.New())
		}
		runtime.GC()
	}
	if n := len(sets.byTx); n > 3*minSwept {
		t.Errorf("%d change sets are remembered of one transaction that lives", n)
	}
	if got := sets.of(kept, uuid.New()); got != want {
		t.Errorf("the change set of the transaction that lives became %s, want %s", got, want)
	}
}
