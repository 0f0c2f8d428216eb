// Writes scripts.jsonl, what a JavaScript engine makes of each script below:
//   node scripts.js > scripts.jsonl
// Each script runs with `$` as the document in dollar.json. The answer is the
// JSON of the value, a word for what JSON cannot write, or "throws".
const fs = require('fs'), vm = require('vm'), path = require('path')
const dollar = fs.readFileSync(path.join(__dirname, 'dollar.json'), 'utf8')

const scripts = [
  // literals
  '1', '0', '-1', '1.5', '.5', '5.', '1e3', '1E-7', '0x1F', '1e21', '123456789012345680000', '1e400', '-1e400', '-0', '1/-0', '0.1+0.2', '4.35*100', '1e-7', '0.000001', '1.7976931348623157e308', '5e-324',
  "'a'", '"a"', "'it\\'s'", '"\\u00e9\\x41\\n"', "'\\u{1F600}'", "'\\ud83d\\ude00'", "'\\\n'", "'😀'", "''", 'true', 'false', 'null', 'undefined', 'NaN', 'Infinity', '-Infinity', '(1)', '((1))',
  // blanks, comments, semicolons
  ' 1 ', '1;', '1;;', ';1', '', ';', '// c\n1', '/* c */ 1 /* d */', '1\n2', '1;2', '"use strict"; 3', '1\n// x', '1 /* a\n b */ 2', '{1}', '{1;2}', '{}', '1;{}', '{{5}}',
  // paths
  '$.n', '$.missing', '$.o.a', '$.o.missing', '$.o.missing.x', '$.missing.x', "$['n']", '$["o"]["a"]', "$.o['a']", '$.list[0]', '$.list[1].x', '$.list[9]', '$.list[-1]', '$.list[$.i]', '$.list[$.i - 1]', '$.list["0"]', '$.list["00"]', '$.list[0.5]', '$.list[1.0]',
  '$.list.length', '$.s.length', '$.empty.length', '$.nul.length', '$.n.length', '$.o.length', '$.t.x', '$.s[0]', '$.s[9]', '$.s.x', '$.emoji.length', '$.emoji[0]', '$.emoji[1]', '$.emoji[0] + $.emoji[1]', '$.emoji[1] + $.emoji[0]', '$.half', '$.half.length', '$.half + $.half2',
  '$', '$.o', '$.list', '$.deep.a.b.c[1][0]', "$.deep['a']['b']", '$.o[$.key]', '$.o[$.nul]', '$.o[true]', '$.o[1]', '$.o[$.one]', '$.o[$.names]', "$['a b']", '$.default', '$.new', '$.o.$x', '$._u', '$.nul.x', '$.nul[0]', '$.n.x.y', "$['loop']['iteration'] < $.value",
  // truth
  '!$.n', '!$.zero', '!$.missing', '!""', '!"0"', '!$.list', '!$.o', '!NaN', '!!$.s', '!-0', '$.n && $.s', '$.zero && $.s', '$.zero || $.s', '$.missing || "d"', '$.nul || 0', '"" || null', '$.t && $.f || $.n', '$.f || $.t && 3', '!$.f && !$.zero', '$.missing && $.missing.x', '$.t || $.missing.x',
  '$.t ? 1 : 2', '$.f ? 1 : 2', '$.zero ? 1 : $.n ? 2 : 3', '$.t ? $.f ? 1 : 2 : 3', '($.t ? 1 : 2) + 1', '1 ? 2 : 3 + 4', '$.list.length > 0 ? "True" : "False"', "$.s == 'abc' && $.n == 5 ? 'BOTH' : 'NONE'",
  // equality
  '1 == 1', '1 == "1"', '1 == "1.0"', '1 === "1"', '1 == true', '2 == true', '"1" == true', '"true" == true', '0 == ""', '0 == " \\n"', '0 == null', '0 == undefined', 'null == undefined', 'null === undefined', 'null == false', '"" == false', 'NaN == NaN', 'NaN != NaN', '0 == -0', '0 === -0', '"a" == "a"', '"a" != "b"', '"a" !== "a"', '"0x10" == 16', '"1e3" == 1000', '"abc" == NaN', '"Infinity" == Infinity', '"-Infinity" == -Infinity', '"infinity" == Infinity', '"+5" == 5', '"5 " == 5', '"5x" == 5', '".5" == 0.5', '"5." == 5', '"." == 0', '"-" == 0', '"1_0" == 10', '"0b11" == 3', '"0o17" == 15', '"-0x10" == -16', '"0x" == 0',
  '$.missing == null', '$.missing === undefined', '$.nul == null', '$.nul === null', '$.nul === undefined', '$.missing != null', '$.n == $.ns', '$.n === $.ns', '$.list == null', '$.o == "[object Object]"', '$.nums == "1,2,3"', '$.one == 1', '$.one == "1"', '$.empty == ""', '$.empty == 0', '$.empty == false', '$.o == 1', '$.o === "x"', '$.big == 12345678901234567890', '$.big == 12345678901234567000', '$.half == "\\ud83d"', "$.emoji == '\\ud83d\\ude00'",
  // order
  '1 < 2', '2 <= 2', '3 > 4', '4 >= 4', '"a" < "b"', '"a" < "B"', '"10" < "9"', '"10" < 9', '10 < "9"', '"a" < 1', '"a" >= 1', 'null >= 0', 'null > 0', 'undefined >= 0', 'undefined == 0', 'NaN < 1', 'true > false', '"" < "a"', '"ab" < "abc"', '"\\uffff" > "\\ud83d\\ude00"', '"\\uff5e" < "😀"', '"é" > "z"', '$.s > "abb"', '$.s <= "abc"', '$.missing < 5', '$.nul < 5', '$.nums > 0', '$.one > 0', '$.o > 0', '$.list.length >= 2', '"2024-01-02" < "2024-01-10"', '1 < 2 < 3', '3 > 2 > 1', '1 < 2 == true',
  // arithmetic
  '1 + 2', '1 + "2"', '"1" + 2', '"3" - 1', '"3" * "4"', '1 - "a"', '7 / 2', '7 / 0', '-7 / 0', '0 / 0', '7 % 3', '-7 % 3', '7 % -3', '5.5 % 2', '0.3 % 0.1', '-0 % 5', '5 % 0', '5 % Infinity', 'Infinity % 5', '1e308 % 3', '5e-324 % 2', '1e20 % 7.5', '9007199254740993 % 2', '1 + 2 * 3', '(1 + 2) * 3', '2 - 3 - 4', '8 / 2 / 2', '7 % 4 % 2', '- -1', '-"5"', '+"5"', '+""', '+"x"', '+true', '+null', '+undefined', '-null', 'true + true', 'null + 1', 'undefined + 1', 'undefined + "x"', 'null + "x"', 'true + "x"', '1.0 + ""', '1e21 + ""', '1e-7 + ""', '-0 + ""', '0.1 * 3', '1e16 + 1', '$.n + 1', '$.ns + 1', '$.n * $.n', '$.d + $.d', '$.list + ""', '$.nums + 1', '$.o + 1', '$.nums * 2', '$.one * 2', '$.missing + 1', '$.nul + $.n', '$.s + $.n + $.t', '$.n + $.n + $.s', '1 + + 2', '1 - -2', '$.nested + ""', '$.empty + ""', '0.1 + 0.7', '1 / 3', '100 / 3', '1e300 * 1e10', '-1e-7 * 1', '2 * 0.5 + 1', '0.1 * 0.1 + 0.01',
  // conversions
  'String(1)', 'String(1.0)', 'String(null)', 'String(undefined)', 'String($.missing)', 'String(true)', 'String($.list)', 'String($.nums)', 'String($.o)', 'String("a")', 'String(-0)', 'String(1e21)', 'String(123456789.125)', 'String(0.1)', 'Number("5")', 'Number("")', 'Number(" 5 ")', 'Number("5a")', 'Number(null)', 'Number(undefined)', 'Number(true)', 'Number($.ns)', 'Number($.nums)', 'Number($.one)', 'Number($.empty)', 'Number($.o)', 'Number("0x1f")', 'Number("1e1000")', 'Number("-")', 'Number("\\u00a05\\ufeff")', 'Number("1 2")', 'Number($.n || 0)', 'Number($.missing || 0)', 'Number(String($.n)) + 1',
  // methods
  '$.s.indexOf("b")', '$.s.indexOf("z")', '$.s.indexOf("")', '$.s.indexOf($.missing)', '$.nums.indexOf(2)', '$.nums.indexOf("2")', '$.nums.indexOf(9)', '$.names.indexOf("b")', '$.names.indexOf($.key)', '$.s.includes("bc")', '$.s.includes("x")', '$.nums.includes(3)', '$.nums.includes("3")', '$.nums.includes(NaN)', '$.mixed.includes(null)', '$.mixed.includes(undefined)', '$.mixed.indexOf("1")', '$.mixed.indexOf(1)', '$.s.startsWith("ab")', '$.s.startsWith("b")', '$.s.startsWith("")', '$.s.startsWith($.s)', '$.emojis.indexOf("b")', '$.emojis.indexOf("\\ude00")', '$.emojis.includes("😀")', '$.emojis.startsWith("\\ud83d")', '"undefined".includes($.missing)', '"a,b".includes($.names)', '"5".includes(5)', '"abc".indexOf("c") > 0', '$.missing.indexOf("x")', '$.nul.includes("x")', '$.n.indexOf("x")', '$.nums.startsWith(1)', '$.o.indexOf("x")', '$.o.a.indexOf("x")', '"aXbX".indexOf("X")', '"null".includes(null)', '$.names.includes("a") && $.s.startsWith("a")',
  // statements
  'if (true) { 1 } else { 2 }', 'if (false) { 1 } else { 2 }', 'if (false) { 1 }', 'if (true) {}', 'if (true) 1; else 2', 'if (false) 1\nelse 2', 'if ($.n > 3) { true; } else { false;} ', "if ($.loop['iteration'] < $.value) { true; } else { false; }", "if ( ($.loop['iteration'] < $.value) && !$.t) { true; } else { false; }", 'if ($.n == 1) "a"; else if ($.n == 5) "b"; else "c"', 'if (0) {1} else if ("") {2} else if ($.o) {3} else {4}', 'if ($.names.indexOf($.key) >= 0) { "true" } else { "false" }', '1; if (false) { 2 }', '1; if (true) { 2 }', '5; if (true) {}', 'if (true) { 1; 2 } else 3; 4', 'if ($.missing.x) { 1 }', '$.t ? true : false;', 'if (true) { if (false) { 1 } else { 9 } }', 'if (true) ;', 'const a = 5; a', 'const a = 5, b = a + 1; a * b', 'let x = $.n; x > 3', 'var v; v', '1; var y = 2;', 'const a = 1\nconst b = 2\na + b', 'const i = $.i; $.list[i]', 'const o = $.o; o.a', 'const o = $; o.n', '{ const k = 3; k + 1 }',
  // functions
  '(function () { return 1; })()', '(function () { return 1; })();', '(function () { return 1 }())', '(function f() { return $.n })()', '(() => 1)()', '(() => { return 2; })()', '(() => { 2 })()', '(() => $.n > 3 ? "y" : "n")()', '(function () { })()', '(function () { return; })()', '(function () { return\n1 })()', '(function () { if ($.n > 3) return "big"; return "small"; })()', '(function () { if ($.n > 9) { return "big"; } else { return "small"; } })()', "(function () { const count = Number($.ns || 0); return count > 0 ? \"true\" : \"false\"; })();", "(function () {\n  if ($.loop['iteration'] < $.list.length) {\n    return true;\n  }\n  return false;\n})();", '(function () { \n  const i = $.i - 1;\n  return $.list[i];\n})();', 'function e() { return $.n + 10; } e();', 'function e() { var s = $.s; if (s.indexOf("z") > 0) { return false; } else { return true; } } e();', 'function e() { if ($.f) { return 1; } } e()', 'function e() { } e()', 'const q = 2; function e() { return q + 1 } e()', 'function a() { return 1 } function b() { return 2 } a() + b()', 'function a() { const u = $.n; return u } a() * a()', '(function () { return (function () { return 3 })() + 1 })()', '!(function () { return true })()', '(function () { return $.value1 + $.value2; })();', '(function () { return $.missing.x })()', '(function () { if (!$.o.ok) return "invalid"; return $.o.amount > 10000 ? "manual" : "auto"; })();', '(function () { $.missing.x; return 1 })()', '(function () { { return 4 } })()', '(function () { const r = $.o; return r })()', 'if ((function () { return $.t })()) { "in" } else { "out" }',
]

const keys = ['$.n', '$.ns', '$.zero', '$.s', '$.nul', '$.missing', '$.t', '$.f', '$.nums', '$.one', '$.empty', '$.d', '$.half', '$.emoji', '$.mixed', '1', '0', '-1', '2.5', '"1"', '"a"', '""', '" 7 "', 'null', 'undefined', 'true', 'NaN', '$.names[0]', '$.list.length', '$.big']
let seed = 7
const rand = n => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n }
const pick = a => a[rand(a.length)]
const random = depth => {
  if (depth === 0 || rand(5) === 0) return pick(keys)
  const e = () => random(depth - 1)
  switch (rand(8)) {
    case 0: return `!${pick(keys)}`
    case 1: return `(${e()} ? ${e()} : ${e()})`
    case 2: return `String(${e()})`
    case 3: return `Number(${e()})`
    case 4: return `(${e()} ${pick(['&&', '||'])} ${e()})`
    case 5: return `(${e()}).${pick(['indexOf', 'includes', 'startsWith'])}(${e()})`
    default: return `(${e()} ${pick(['+', '-', '*', '/', '%', '==', '!=', '===', '!==', '<', '<=', '>', '>='])} ${e()})`
  }
}
const count = Number(process.argv[2] || 600)
for (let i = 0; i < count; i++) scripts.push(random(1 + i % 4))

const show = v => {
  if (v === undefined) return 'undefined'
  if (Object.is(v, -0)) return '-0'
  if (typeof v === 'number' && !Number.isFinite(v)) return String(v)
  return JSON.stringify(v)
}
for (const script of scripts) {
  let want
  try {
    want = show(vm.runInNewContext(`$ = JSON.parse(${JSON.stringify(dollar)}); (0, eval)(${JSON.stringify(script)})`))
  } catch (e) {
    want = e.name === 'TypeError' ? 'throws' : 'invalid ' + e.message
  }
  console.log(JSON.stringify({ script, want }))
}
