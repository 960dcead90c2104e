#!/usr/bin/env bash
# page_test.sh ANALYZE RECORD: the page that ANALYZE makes of RECORD, as headless Chromium shows it: no script error, nothing asked of
# the network, columns that sort, at three widths no wider than the window, light and dark, and as PDF. 77: Chromium is not installed.
set -uo pipefail
analyze=$1 record=$2
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "skipped: Chromium is not installed"
  exit 77
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
fail() { echo "FAILED: $*" && failures=$((failures + 1)); }

cp "$record" "$scratch/sweep.h5"
"$analyze" "$scratch/sweep.h5" >/dev/null || fail "analyze ended with status $?"
page=$scratch/sweep/report/report.html

# Whatever would reach for the network finds no host and says so in the log. Root has no sandbox to start.
chromium() {
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$scratch/profile" \
    --disable-background-networking --disable-component-update --disable-sync --no-first-run --disable-extensions \
    --disable-features=NetworkTimeServiceQuerying,OptimizationHints,MediaRouter,Translate,AutofillServerCommunication \
    --host-resolver-rules="MAP * ~NOTFOUND" --hide-scrollbars --enable-logging=stderr --v=0 "$@" 2>"$scratch/log"
}
expect_quiet() {
  if grep -E 'CONSOLE|Uncaught|Refused to|ERR_NAME_NOT_RESOLVED' "$scratch/log"; then fail "$1: the lines above"; fi
}

# External references, outside of data.
if sed -E 's/data:image[^"]*/DATA/g' "$page" | grep -nE 'https?:|(src|href)="?//|url\(|@import|<link' | cut -c1-200; then
  fail "the page refers to something beside it"
fi

# A probe behind the page's own script sorts a column twice, follows a number to its origin, and writes what it finds.
probe='<script>(function(){
const found=[];
const table=Array.from(document.querySelectorAll("main table")).find(t=>t.tBodies[0].rows.length>3);
const head=table.tHead.rows[0].cells[1],button=head.querySelector("button");
const column=()=>Array.from(table.tBodies[0].rows,r=>parseFloat(r.cells[1].textContent.replace(/,/g,"")));
const sorted=(v,d)=>v.every((x,i)=>i===0||(d?v[i-1]>=x:v[i-1]<=x));
button.click();found.push("ascending:"+(head.getAttribute("aria-sort")==="ascending"&&sorted(column(),false)));
button.click();found.push("descending:"+(head.getAttribute("aria-sort")==="descending"&&sorted(column(),true)));
const link=document.querySelector("tbody th a, tbody td a");
location.hash=link.hash;
setTimeout(()=>{
const target=document.getElementById(link.hash.slice(1));
found.push("origin:"+(target!==null&&target.closest("details").open));
found.push("signs:"+Array.from(document.querySelectorAll(".more")).every(b=>
{const s=b.firstElementChild;
return (s.scrollWidth-s.clientWidth>2||s.scrollHeight-s.clientHeight>2)===("more" in b.dataset)}));
found.push("named:"+Array.from(document.images).every(i=>i.alt.length>20));
found.push("drawn:"+Array.from(document.images).every(i=>{i.loading="eager";return i.src.startsWith("data:");}));
document.body.setAttribute("data-probe",found.join(" "));},100);
})();</script>'
sed "s|</body>||;s|</html>||" "$page" >"$scratch/probe.html"
printf '%s\n</body></html>\n' "$probe" >>"$scratch/probe.html"
for size in 1400,1200 390,844; do
chromium --window-size=$size --virtual-time-budget=3000 --dump-dom "file://$scratch/probe.html" >"$scratch/dom"
expect_quiet "the page with a probe"
wanted='data-probe="ascending:true descending:true origin:true signs:true named:true drawn:true"'
grep -q "$wanted" "$scratch/dom" || fail "at $size the probe says: $(grep -o 'data-probe="[^"]*"' "$scratch/dom")"
done

# Nothing but the boxes of tables may be wider than the window, which frames of these widths stand for.
for width in 360 390 800 1400; do
  cat >"$scratch/frame.html" <<HTML
<!doctype html><iframe id=f style="width:${width}px;height:900px;border:0" src="sweep/report/report.html"></iframe>
<script>f.onload=()=>{const d=f.contentDocument.documentElement;
document.body.setAttribute("data-wide",d.scrollWidth>d.clientWidth?"too wide: "+d.scrollWidth:"fits")}</script>
HTML
  chromium --allow-file-access-from-files --virtual-time-budget=3000 --dump-dom "file://$scratch/frame.html" >"$scratch/dom"
  grep -q 'data-wide="fits"' "$scratch/dom" || fail "at $width pixels: $(grep -o 'data-wide="[^"]*"' "$scratch/dom")"
  for scheme in 0 1; do  # of Blink: dark, light
    chromium --blink-settings=preferredColorScheme=$scheme --window-size=$width,1200 \
      --screenshot="$scratch/$width-$scheme.png" "file://$page" >/dev/null
    expect_quiet "$width pixels, scheme $scheme"
    [[ -s $scratch/$width-$scheme.png ]] || fail "no picture at $width pixels"
  done
  cmp -s "$scratch/$width-0.png" "$scratch/$width-1.png" && fail "light and dark look the same at $width pixels"
done

chromium --no-pdf-header-footer --print-to-pdf="$scratch/page.pdf" "file://$page" >/dev/null
expect_quiet "printing"
[[ $(head -c 4 "$scratch/page.pdf") == %PDF ]] || fail "the page was not printed"

((failures)) && exit 1
echo "ok"
