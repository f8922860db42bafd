package main

import (
	"fmt"
	"strings"
)

// limits are how much of everything is aimed at, and what was missed.
type limits struct{ missed []string }

// figure is a value and, if there is a goal, the most that it should be.
func (l *limits) figure(what string, value, most float64) string {
	if most == 0 {
		return fmt.Sprintf("%.2f", value)
	}
	if value <= most {
		return fmt.Sprintf("%.2f ≤%.4g", value, most)
	}
	l.missed = append(l.missed, fmt.Sprintf("%s: %.2f, the goal is %.4g", what, value, most))
	return fmt.Sprintf("%.2f >%.4g", value, most)
}

// goals are the most that ratios should be, by operation and the columns that
// are divided.
type goals map[string]map[string]float64

// both has goals for the times of GORM alone and of auditing by hand.
func both(bare, hand float64) map[string]float64 {
	return map[string]float64{"hooks/bare": bare, "hooks/by hand": hand}
}

// localGoals are for databases on the same machine.
func localGoals(database string) goals {
	switch database {
	case "postgres":
		return goals{
			"create": both(1.45, 1.12), "update": both(1.60, .95), "soft delete": both(1.70, .95), "hard delete": both(1.70, .85),
			"create 1000": both(2.6, 1.05), "update 1000": both(3.1, .90), "soft delete 1000": both(4.6, .95),
		}
	case "sqlite":
		return goals{
			"create": both(1.90, 1.05), "update": both(2.9, .87), "soft delete": both(2.8, .75), "hard delete": both(3.1, .82),
			"create 1000": both(1.45, 1.20), "update 1000": both(9, .75), "soft delete 1000": both(6.5, .60),
		}
	}
	return each(append(single(), bulk()...), "hooks/by hand", 1.3)
}

// each has the same goal for all operations.
func each(operations []operation, column string, most float64) goals {
	g := goals{}
	for _, op := range operations {
		g[op.name] = map[string]float64{column: most}
	}
	return g
}

// String tells what was missed.
func (l *limits) String() string {
	if len(l.missed) == 0 {
		return "every goal is met"
	}
	return fmt.Sprintf("%d goals are missed:\n  %s", len(l.missed), strings.Join(l.missed, "\n  "))
}
