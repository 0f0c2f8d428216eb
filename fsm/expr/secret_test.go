package expr

import "testing"

func TestSecretsAreFilledInWhereAValueIsUsed(t *testing.T) {
	get := func(name string) (string, bool) {
		s, ok := map[string]string{"KEY": `a"b`, "DOC": `{"user":"u","n":[1,2.50],"none":null}`, "EMPTY": ""}[name]
		return s, ok
	}
	for in, want := range map[string]string{
		`{"a":"${workflow.secrets.KEY}"}`:                              `{"a":"a\"b"}`,
		`{"a":"${ workflow.secrets.KEY }"}`:                            `{"a":"a\"b"}`,
		`{"a":"${$.workflow.secrets.KEY}"}`:                            `{"a":"a\"b"}`,
		`{"a":"${workflow['secrets']['KEY']}"}`:                        `{"a":"a\"b"}`,
		`{"a":"x ${workflow.secrets.KEY} y ${workflow.secrets.KEY}"}`:  `{"a":"x a\"b y a\"b"}`,
		`{"a":"${workflow.secrets.DOC}"}`:                              `{"a":"{\"user\":\"u\",\"n\":[1,2.50],\"none\":null}"}`,
		`{"a":"${workflow.secrets.DOC.user}"}`:                         `{"a":"u"}`,
		`{"a":"${workflow.secrets.DOC.n}"}`:                            `{"a":[1,2.50]}`,
		`{"a":"${workflow.secrets.DOC.n[-1]}"}`:                        `{"a":2.50}`,
		`{"a":"-${workflow.secrets.DOC.n[1]}-"}`:                       `{"a":"-2.5-"}`,
		`{"a":"-${workflow.secrets.DOC.none}-"}`:                       `{"a":"--"}`,
		`{"a":"${workflow.secrets.DOC.other}"}`:                        `{"a":null}`,
		`{"a":"${workflow.secrets.KEY.user}"}`:                         `{"a":null}`,
		`{"a":"${workflow.secrets.EMPTY}"}`:                            `{"a":""}`,
		`{"a":"${workflow.secrets.UNKNOWN}"}`:                          `{"a":null}`,
		`{"a":"<${workflow.secrets.UNKNOWN}>"}`:                        `{"a":"<>"}`,
		`{"a":"${workflow.secrets}"}`:                                  `{"a":null}`,
		`{"a":"$${workflow.secrets.KEY}"}`:                             `{"a":"${workflow.secrets.KEY}"}`,
		`{"a":"$${workflow.secrets.KEY} ${workflow.secrets.KEY}"}`:     `{"a":"${workflow.secrets.KEY} a\"b"}`,
		`{"a":"$${x} ${workflow.secrets.KEY}"}`:                        `{"a":"$${x} a\"b"}`,
		`{"a":"${workflow.input.x}"}`:                                  `{"a":"${workflow.input.x}"}`,
		`{"${workflow.secrets.KEY}" : [1, "${workflow.secrets.KEY}"]}`: `{"${workflow.secrets.KEY}" : [1, "a\"b"]}`,
		`{"a":"\u0024{workflow.secrets.KEY}"}`:                         `{"a":"a\"b"}`,
		`{"a":"${workflow.secrets.KEY"}`:                               `{"a":"${workflow.secrets.KEY"}`,
		`{"secrets":12345678901234567890}`:                             `{"secrets":12345678901234567890}`,
	} {
		got := string(FillSecrets([]byte(in), get))
		if got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		if err := Check([]byte(got)); err != nil {
			t.Errorf("%s: %s is not JSON: %v", in, got, err)
		}
	}
}

// A secret's name stays in what the machine stores, and so does an escape before it:
// it is looked at once more.
func TestSecretsStayInTemplates(t *testing.T) {
	for in, want := range map[string]string{
		`"${workflow.secrets.KEY}"`:             `"${workflow.secrets.KEY}"`,
		`"a ${x} ${workflow.secrets.KEY.b[0]}"`: `"a 1 ${workflow.secrets.KEY.b[0]}"`,
		`"${workflow.secrets.${name}}"`:         `"${workflow.secrets.KEY}"`,
		`"$${workflow.secrets.KEY} $${x} ${x}"`: `"$${workflow.secrets.KEY} ${x} 1"`,
		`"$${workflow.secrets.KEY}"`:            `"$${workflow.secrets.KEY}"`,
	} {
		tmpl, err := ParseTemplate([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		b := Budget{Steps: 1000}
		v, err := tmpl.Eval(Raw([]byte(`{"x":1,"name":"KEY","workflow":{"secrets":{"KEY":"leaked"}}}`)), &b)
		if got := string(v.AppendJSON(nil)); err != nil || got != want {
			t.Errorf("%s: got %s %v, want %s", in, got, err, want)
		}
	}
}
