#include "analysis/show/page_style.h"

namespace tarflow::analysis {

// Contrasts of text are 7:1 and more in both schemes. Nothing is loaded: fonts are the reader's.
const std::string_view kPageStyle = R"(
:root{color-scheme:light dark;--back:#fff;--text:#1c1c1c;--soft:#4a4a4a;--line:#c8c8c8;--band:#f3f4f6;
--link:#0b4f9c;--focus:#b34700;--warn:#8a1c00;--edge:#0005}
@media (prefers-color-scheme:dark){:root{--back:#16181c;--text:#ececec;--soft:#bdbdbd;--line:#4a4d54;
--band:#22252b;--link:#8cc4ff;--focus:#ffb454;--warn:#ffab91;--edge:#fff7}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0 auto;padding:1rem clamp(.8rem,3vw,2.5rem) 4rem;max-width:84rem;background:var(--back);
color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}
h2{font-size:1.3rem;margin:2.2rem 0 .6rem;padding-bottom:.2rem;border-bottom:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.6rem 0 .4rem}
p,ul{margin:.4rem 0;max-width:72ch}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:1rem;background:var(--back);padding:.5rem}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}
nav a{display:inline-block;padding:.25rem 0}
.scroll{overflow-x:auto;max-width:100%;position:relative}
.more{position:relative}
.tall{max-height:min(46vh,26rem);overflow-y:auto;width:fit-content}
.more[data-more]::before{content:attr(data-more);display:block;color:var(--link);font-size:.85rem;font-weight:600}
.more[data-side]::after{content:"";position:absolute;right:0;top:1.3rem;bottom:0;width:1.4rem;pointer-events:none;
background:linear-gradient(to right,transparent,var(--edge))}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.m{font-size:.75em;vertical-align:super}
th,td{padding:.25rem .6rem;text-align:right;vertical-align:top;white-space:nowrap}
th{font-weight:600}
td.l,th.l{text-align:left}
td.l{white-space:normal;min-width:9rem}
tbody th{font-weight:400;text-align:left;position:sticky;left:0;background:var(--back)}
thead th{border-bottom:2px solid var(--line);border-top:2px solid var(--line);vertical-align:bottom}
tbody tr:nth-child(even)>*{background:var(--band)}
tbody tr:last-child>*{border-bottom:2px solid var(--line)}
th button{all:unset;cursor:pointer;font:inherit;color:inherit;padding:.1rem 0;white-space:normal}
th button:focus-visible{outline:3px solid var(--focus)}
th button::after{content:"\2195";color:var(--soft);padding-left:.3em;font-size:.8em}
th[aria-sort=ascending] button::after{content:"\2191";color:var(--text)}
th[aria-sort=descending] button::after{content:"\2193";color:var(--text)}
.pub{font-style:italic}
.notes,figcaption,.soft{color:var(--soft);font-size:.9rem}
.notes p{margin:.2rem 0}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:1.2rem}
figure{margin:0;min-width:0}
figure h3{margin:.2rem 0 .4rem}
figure img{display:block;width:100%;max-width:44rem;height:auto;border:1px solid var(--line);
border-radius:4px}
.wide{grid-column:1/-1}
.wide img{width:var(--w);min-width:min(var(--w),40rem);max-width:none}
@media (min-width:60rem){.wide img{max-width:100%}}
.picture img{image-rendering:pixelated;width:auto;max-width:100%}
details{border:1px solid var(--line);border-radius:4px;margin:.4rem 0;padding:.35rem .7rem}
summary{cursor:pointer}
details[open]>summary{margin-bottom:.4rem}
dl{margin:.3rem 0;display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.1rem 1rem}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
pre{overflow-x:auto;background:var(--band);padding:.6rem;font-size:.82rem;white-space:pre-wrap;
overflow-wrap:anywhere}
code{font-size:.9em}
:target{outline:3px solid var(--focus);outline-offset:2px}
.problem{color:var(--warn)}
progress{width:min(100%,30rem);height:1.1rem}
@media (max-width:36rem){body{font-size:15px}th,td{padding:.2rem .4rem}dl{grid-template-columns:1fr}
dd{margin-bottom:.3rem}}
@media print{:root{color-scheme:light;--back:#fff;--text:#000;--soft:#333;--line:#999;--band:#f3f4f6;
--link:#000;--warn:#000}
body{max-width:none;padding:0;font-size:10pt}nav,.skip,.m,th button::after,.more[data-more]::before,.more[data-side]::after{display:none}
.wide img{max-width:100%;min-width:0}
.scroll{overflow:visible;max-height:none}.short{break-inside:avoid}.picture img{max-height:88vh}table{font-size:8pt}th,td{white-space:normal;padding:.12rem .3rem}
tbody th{position:static}td.l{min-width:0}
.plots figure,tr{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}
.plots{grid-template-columns:1fr 1fr}a{text-decoration:none}}
)";

// Sorting by any column: a number where the cell begins with one, else the text; cells without a
// value stay last. Equal rows keep their order. Tables whose first column has no heading have a
// model a column, and no order to choose. A link to something inside closed details opens them.
const std::string_view kPageScript = R"(
'use strict';
function value(cell){
  const text=cell?cell.textContent.trim():'';
  if(text===''||text==='\u2014'||text==='never')return null;
  const number=/^[+\u00b1-]?(\d[\d,]*\.?\d*(e[+-]?\d+)?|inf)/i.exec(text);
  if(!number)return text;
  if(number[1]==='inf')return Infinity;
  return parseFloat(number[0].replace(/[,\u00b1]/g,''));
}
function compare(a,b){
  if(typeof a==='number'&&typeof b==='number')return a-b;
  if(typeof a!==typeof b)return typeof a==='number'?-1:1;
  return a.localeCompare(b,undefined,{numeric:true});
}
function sort(table,column,descending){
  const body=table.tBodies[0];
  const rows=Array.from(body.rows,function(row){return{row:row,key:value(row.cells[column])};});
  rows.sort(function(a,b){
    if(a.key===null||b.key===null)return(a.key===null)-(b.key===null);
    return descending?compare(b.key,a.key):compare(a.key,b.key);
  });
  rows.forEach(function(entry){body.appendChild(entry.row);});
}
document.querySelectorAll('main table').forEach(function(table){
  if(!table.tHead||table.tBodies[0].rows.length<2)return;
  if(table.tHead.rows[0].cells[0].textContent.trim()==='')return;
  Array.from(table.tHead.rows[0].cells).forEach(function(head,column){
    const button=document.createElement('button');
    button.type='button';
    button.title='sort by this column';
    while(head.firstChild)button.appendChild(head.firstChild);
    head.appendChild(button);
    button.addEventListener('click',function(){
      const descending=head.getAttribute('aria-sort')==='ascending';
      table.querySelectorAll('thead th').forEach(function(th){th.removeAttribute('aria-sort');});
      head.setAttribute('aria-sort',descending?'descending':'ascending');
      sort(table,column,descending);
    });
  });
});
// A table or plot that is wider than the window says how much of it is to the right.
function mark(box){
  const scroll=box.firstElementChild,right=scroll.getBoundingClientRect().right,table=scroll.querySelector('table');
  let text='';
  if(scroll.scrollWidth-scroll.clientWidth-scroll.scrollLeft>2){
    const heads=table?Array.from(table.tHead.rows[0].cells):[];
    const hidden=heads.filter(function(head){return head.getBoundingClientRect().right>right+1;}).length;
    text=hidden>0?hidden+(hidden===1?' more column':' more columns')+': scroll sideways \u2192':
      'scroll sideways \u2192';
  }
  if(text)box.dataset.side='';else delete box.dataset.side;
  if(scroll.scrollHeight-scroll.clientHeight-scroll.scrollTop>2)text+=(text?', ':'')+'scroll down for more rows \u2193';
  if(text)box.dataset.more=text;else delete box.dataset.more;
}
function mark_all(){document.querySelectorAll('.more').forEach(mark);}
document.querySelectorAll('.more').forEach(function(box){
  box.firstElementChild.addEventListener('scroll',function(){mark(box);},{passive:true});
  box.querySelectorAll('img').forEach(function(image){image.addEventListener('load',function(){mark(box);});});
});
addEventListener('resize',mark_all);
addEventListener('load',mark_all);
mark_all();
function reveal(){
  const target=location.hash.length>1?document.getElementById(location.hash.slice(1)):null;
  if(!target)return;
  for(let node=target;node;node=node.parentElement)if(node.tagName==='DETAILS')node.open=true;
  target.scrollIntoView();
}
addEventListener('hashchange',reveal);
reveal();
addEventListener('beforeprint',function(){
  document.querySelectorAll('details.print').forEach(function(node){node.open=true;});
});
)";

}  // namespace tarflow::analysis
