package prometheus

import (
	"testing"
	"time"
)

// TestFinal lets some scrape at their intervals for a minute, then asks for the
// final scrapes: the wait ends with the scrape of the last who is expected.
func TestFinal(t *testing.T) {
	f := func(name string, intervals map[string]time.Duration, after []string, want int) {
		t.Helper()
		fin := final{scrapers: make(map[string]*scraper)}
		start := time.Unix(1000, 0)
		now := start.Add(time.Minute)
		for who, every := range intervals {
			for at := start; at.Before(now); at = at.Add(every) {
				fin.finish(who, fin.begin(who, at))
			}
		}
		running := fin.begin("a", now) // began before the wish
		done := fin.want(now)
		fin.finish("a", running)
		for i, who := range after {
			select {
			case <-done:
				t.Errorf("%s: over before scrape %d; want %d", name, i+1, want)
				return
			default:
			}
			fin.finish(who, fin.begin(who, now))
			select {
			case <-done:
				if i+1 != want {
					t.Errorf("%s: over after scrape %d; want %d", name, i+1, want)
				}
				return
			default:
			}
		}
		t.Errorf("%s: not over after %v", name, after)
	}
	const every = 15 * time.Second
	f("nobody regular", nil, []string{"b"}, 1)
	f("one", map[string]time.Duration{"a": every}, []string{"b", "a"}, 2)
	f("two", map[string]time.Duration{"a": every, "b": every}, []string{"a", "a", "b"}, 3)
	f("one came twice only", map[string]time.Duration{"a": every, "b": 40 * time.Second}, []string{"a"}, 1)
}

// A scraper that has stopped coming is not waited for.
func TestFinalLate(t *testing.T) {
	fin := final{scrapers: make(map[string]*scraper)}
	now := time.Unix(1000, 0)
	for i := range 10 {
		fin.begin("poller", now.Add(time.Duration(i)*time.Second))
	}
	done := fin.want(now.Add(30 * time.Second))
	fin.finish("a", fin.begin("a", now.Add(31*time.Second)))
	select {
	case <-done:
	default:
		t.Error("waits for a scraper that is late")
	}
}

func TestFinalForgets(t *testing.T) {
	fin := final{scrapers: make(map[string]*scraper)}
	for i := range 10 * maxScrapers {
		fin.begin(string(rune(i+100)), time.Unix(int64(i), 0))
	}
	if n := len(fin.scrapers); n != maxScrapers {
		t.Errorf("%d scrapers are remembered; want %d", n, maxScrapers)
	}
}
