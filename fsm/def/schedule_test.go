package def

import "testing"

func TestParseSchedule(t *testing.T) {
	s, problems := ParseSchedule([]byte(`{"name":"s","cronExpression":"0 0 9 * * MON-FRI","zoneId":"Europe/London","paused":false,
		"startWorkflowRequest":{"name":"w","version":1},"scheduleStartTime":1,"scheduleEndTime":2}`))
	if len(problems) > 0 || s.Name != "s" || s.Start.Name != "w" || len(s.Crons) != 1 || s.Crons[0] != (CronSchedule{"0 0 9 * * MON-FRI", "Europe/London"}) {
		t.Errorf("got %+v, %v", s, problems)
	}
	// A list wins over the single expression, and a zone that is not given is UTC.
	s, problems = ParseSchedule([]byte(`{"name":"s","cronExpression":"@daily","startWorkflowRequest":{"name":"w"},
		"cronSchedules":[{"cronExpression":"@hourly"},{"cronExpression":"0 * * * * *","zoneId":"GMT+04:00"}]}`))
	if len(problems) > 0 || len(s.Crons) != 2 || s.Crons[0] != (CronSchedule{"@hourly", "UTC"}) {
		t.Errorf("got %+v, %v", s, problems)
	}
	for src, want := range map[string]Problem{
		`{"cronExpression":"@daily","startWorkflowRequest":{"name":"w"}}`:                                                      {"name", "is required"},
		`{"name":"s","cronExpression":"@daily"}`:                                                                               {"startWorkflowRequest", "is required"},
		`{"name":"s","startWorkflowRequest":{"name":"w"}}`:                                                                     {"cronExpression", "is required"},
		`{"name":"s","cronExpression":"@daily","startWorkflowRequest":{}}`:                                                     {"startWorkflowRequest.name", "is required"},
		`{"name":"s","cronExpression":"@daily","zoneId":"half past","startWorkflowRequest":{"name":"w"}}`:                      {"zoneId", "allowed is the name of a time zone"},
		`{"name":"s","cronExpression":"@daily","scheduleStartTime":5,"scheduleEndTime":5,"startWorkflowRequest":{"name":"w"}}`: {"scheduleEndTime", "is not after"},
		`{"name":"s","cronSchedules":[{"cronExpression":"* * *"}],"startWorkflowRequest":{"name":"w"}}`:                        {"cronSchedules[0].cronExpression", "found 3 fields"},
		`{"name":"s","cronExpression":"@daily","scheduleStartTime":"soon","startWorkflowRequest":{"name":"w"}}`:                {"scheduleStartTime", "allowed is an integer"},
	} {
		if s, problems := ParseSchedule([]byte(src)); s != nil || !mentions(problems, want) {
			t.Errorf("%s: got %v, want %v", src, problems, want)
		}
	}
}

func TestCronFault(t *testing.T) {
	for _, good := range []string{
		"* * * * * *", "0 0 * ? * *", "0 0 9 * * MON-FRI", "0 0/5 14,18 * * ?", "0 0 6 L * *", "0 0 6 L-3 * *", "0 0 6 LW * *", "0 0 6 15W * *",
		"0 0 6 ? * 5L", "0 0 6 ? * friL", "0 0 6 ? * MON#1", "0 0 6 ? * 5#2", "10-20/3 1,2,3-5 */2 1-7 jan-MAR SUN", "0 0 0 * * 5-7", "0 0 0 * * SAT-SUN",
		"@daily", "@Hourly", "  0   0 0 1 1 *",
	} {
		if fault := cronFault(good); fault != "" {
			t.Errorf("%q: got %s, want none", good, fault)
		}
	}
	for bad, want := range map[string]string{
		"":                "is required: a cron expression such as 0 0 9 * * MON-FRI",
		"0 9 * * *":       `found 5 fields in "0 9 * * *", allowed are six: second, minute, hour, day of month, month, day of week`,
		"0 0 0 1 1 * 25":  `found 7 fields in "0 0 0 1 1 * 25", allowed are six: second, minute, hour, day of month, month, day of week`,
		"60 * * * * *":    `found "60" for the second in "60 * * * * *", allowed is *, numbers from 0 to 59, ranges, steps with / and lists with commas`,
		"0 0 24 * * *":    `found "24" for the hour in "0 0 24 * * *", allowed is *, numbers from 0 to 23, ranges, steps with / and lists with commas`,
		"0 0 0 0 * *":     `found "0" for the day of month in "0 0 0 0 * *", allowed is *, numbers from 1 to 31, ranges, steps with / and lists with commas, ?, L, L-n, LW and nW`,
		"0 0 0 * 13 *":    `found "13" for the month in "0 0 0 * 13 *", allowed is *, numbers from 1 to 12 or names such as JAN, ranges, steps with / and lists with commas`,
		"0 0 0 ? * MON#6": `found "MON#6" for the day of week in "0 0 0 ? * MON#6", allowed is *, numbers from 0 to 7 or names such as SUN, ranges, steps with / and lists with commas, ?, nL and n#k`,
	} {
		if got := cronFault(bad); got != want {
			t.Errorf("%q: got %s, want %s", bad, got, want)
		}
	}
	for _, bad := range []string{"? * * * * *", "0 0 0 * ? *", "*/0 * * * * *", "*/99 * * * * *", "5-1 * * * * *", "1,,2 * * * * *", "a * * * * *", "0 0 0 32W * *",
		"0 0 0 L-31 * *", "0 0 0 * FOO *", "0 0 0 * * L", "-1 * * * * *", "1- * * * * *", "0 0 0 * * 8", "@never", "00000 * * * * *"} {
		if cronFault(bad) == "" {
			t.Errorf("%q: is taken", bad)
		}
	}
}
