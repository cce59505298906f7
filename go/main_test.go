package ringlog

import (
	"fmt"
	"reflect"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, what string, is, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(is, wanted) {
		t.Errorf("%s: it is\n\t%+v, and not\n\t%+v", what, show(is), show(wanted))
	}
}

// show follows pointers, which %v does not.
func show(of any) any {
	if list, is := of.([]event); is {
		var lines []string
		for _, it := range list {
			if it.Lost != nil {
				lines = append(lines, "lost "+fmt.Sprint(*it.Lost))
			} else {
				lines = append(lines, fmt.Sprint(it.Position, it.Fields))
			}
		}
		return lines
	}
	return of
}
