/// The style sheet and the script of the page.
enum PageStyle {
  /// Colours come in two sets, for light and dark windows.
  ///
  /// The scale of the heat maps runs through one sequence of hues with
  /// steadily changing lightness, so that it can be read without telling hues apart; numbers on it keep a contrast of 4.5.
  static let sheet = """
    :root{color-scheme:light dark;--page:#fff;--ink:#10151c;--soft:#4d5965;--line:#d5dce3;--panel:#f4f6f8;--paper:#fff;
    --warn:#7a4a00;--warn-back:#fff4dc;--on-badge:#fff;
    --m0:#0067a8;--m1:#c44f00;--m2:#00785a;--m3:#a0418c;--m4:#7d6a00;--m5:#1f7fb4;--m6:#7a4a2a;--m7:#4a5560;
    --c0:#fff9c5;--c1:#dfebab;--c2:#b6de9a;--c3:#87d195;--c4:#4fc198;--c5:#00b09d;--c6:#009ba2;--c7:#007a98;--c8:#006c9b;
    --c9:#07548d;--c10:#263d77;--t0:#10151c;--t5:#10151c;--t7:#fff}
    @media(prefers-color-scheme:dark){:root{--page:#12161c;--ink:#e8edf2;--soft:#a5b1bd;--line:#333d48;--panel:#1a2028;
    --paper:#12161c;--warn:#ffd58a;--warn-back:#33270f;--on-badge:#10151c;
    --m0:#5fb0ee;--m1:#ff8a4c;--m2:#3fc79b;--m3:#e08bcb;--m4:#d8c24a;--m5:#9ad9ff;--m6:#c99a76;--m7:#b4bec8;
    --c0:#0d2158;--c1:#00376e;--c2:#00507e;--c3:#006986;--c4:#007c83;--c5:#009685;--c6:#31a981;--c7:#71ba80;--c8:#a2c986;
    --c9:#ccd798;--c10:#efe6b3;--t0:#fff;--t5:#10151c;--t7:#10151c}}
    *{box-sizing:border-box}
    [hidden]{display:none!important}
    body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
    "Helvetica Neue",sans-serif}
    main{max-width:1360px;margin:0 auto;padding:32px 24px 64px}
    h1{font-size:30px;line-height:1.2;margin:0 0 8px}
    h2{font-size:20px;line-height:1.3;margin:0 0 6px}
    p{margin:0 0 12px;max-width:75ch}
    section{margin-top:44px}
    .kicker{margin:0 0 2px;color:var(--soft);font-weight:600;letter-spacing:.04em}
    .lead{font-size:17px;overflow-wrap:anywhere}
    .path,.note{display:block;color:var(--soft);font-size:13px;overflow-wrap:anywhere}
    .chip{display:inline-block;border:1px solid currentColor;border-radius:9px;padding:0 7px;font-size:12px;line-height:17px;
    color:var(--soft);font-weight:400}
    .warning{background:var(--warn-back);color:var(--warn);border-left:4px solid currentColor;padding:14px 18px;
    border-radius:0 6px 6px 0}
    .warning p{overflow-wrap:anywhere}
    .warning p:last-child{margin:0}
    ol.models{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));
    gap:12px 24px}
    ol.models li{display:flex;gap:10px;align-items:flex-start;min-width:0}
    .who{min-width:0;overflow-wrap:anywhere}
    .badge{flex:none;display:inline-block;min-width:22px;height:22px;border-radius:11px;padding:0 5px;text-align:center;
    font-size:13px;line-height:22px;font-weight:600;color:var(--on-badge);font-variant-numeric:tabular-nums}
    .pair{display:grid;grid-template-columns:minmax(0,1fr);gap:24px}
    .scroll{overflow-x:auto}
    figure{margin:0}
    figcaption,caption{font-size:14px;color:var(--soft);text-align:left;padding:6px 0;caption-side:top}
    svg{display:block;width:100%;height:auto}
    svg.wide{display:none}
    text{font-size:12px;fill:var(--soft)}
    text.label{font-weight:600}
    .rule{stroke:var(--line);stroke-width:1}
    .curve{fill:none;stroke-width:2;stroke-linejoin:round}
    .dashed{stroke-dasharray:7 3}
    .reference{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:2 4}
    .leader{fill:none;stroke-width:1;opacity:.6}
    .probe rect{fill:transparent}
    .probe path{stroke:none}
    .probe:hover path{stroke:var(--soft);stroke-width:1}
    table{border-collapse:separate;border-spacing:1px;font-variant-numeric:tabular-nums}
    .heat{width:100%;font-size:12px;line-height:20px}
    .heat th{font-weight:400;text-align:left;padding:0 6px 0 0;white-space:nowrap;color:var(--soft)}
    .heat thead th{text-align:center;padding:0 0 4px}
    .heat thead th:first-child{text-align:left}
    .heat td{text-align:center;padding:0 1px;min-width:36px}
    .legend{display:flex;align-items:center;gap:8px;font-size:12px;color:var(--soft);margin:8px 0 0}
    .scale{display:inline-flex;border:1px solid var(--line)}
    .scale i{width:16px;height:12px}
    .picker{display:flex;gap:12px;align-items:center;margin:0}
    .picker input{flex:1;accent-color:var(--m0)}
    #pairs{font-size:13px;line-height:30px}
    .tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(72px,1fr));gap:10px 8px;align-content:start}
    .tile{font:inherit;font-size:11px;line-height:16px;color:var(--soft);background:none;border:2px solid transparent;
    border-radius:4px;padding:2px;cursor:pointer;min-width:0;overflow-wrap:anywhere}
    .tile:disabled{cursor:default}
    .tile svg{shape-rendering:crispEdges}
    .tile[aria-pressed=true]{border-color:var(--m0);color:var(--ink)}
    .tile:focus-visible,summary:focus-visible,input:focus-visible{outline:2px solid var(--m0);outline-offset:2px}
    ol.history{padding-left:22px;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:20px 40px}
    .history ul{list-style:none;margin:6px 0;padding:0;font-size:14px}
    .history ul li{display:flex;gap:8px;align-items:center;overflow-wrap:anywhere}
    .history ul span{flex:none;font-variant-numeric:tabular-nums}
    .history ul bdi{min-width:0}
    .bar{flex:none;width:72px;height:10px;background:var(--panel);border:1px solid var(--line)}
    .bar i{display:block;height:100%;background:var(--m0)}
    summary{cursor:pointer;font-size:18px;font-weight:600;padding:4px 0}
    .samples{font-size:14px;line-height:1.4;margin-top:8px}
    .samples th,.samples td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid var(--line)}
    .samples td{overflow-wrap:anywhere}
    .options{margin:8px 0 0;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:6px 24px;
    font-size:14px}
    .options div{display:flex;gap:10px;min-width:0}
    dt{color:var(--soft);flex:none}
    dd{margin:0;overflow-wrap:anywhere;min-width:0}
    \(modelColours)
    \(scaleColours)
    @media(max-width:700px){main{padding:20px 16px 48px}h1{font-size:25px}section{margin-top:34px}
    .heat{font-size:10.5px}.heat td{min-width:32px;padding:0}.heat th{padding:0 4px 0 0}}
    @media(min-width:701px){svg.wide{display:block}svg.narrow{display:none}.chart{max-width:680px}}
    @media(min-width:1060px){.pair{grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:48px}
    .chart,.picked{position:sticky;top:16px;align-self:start}}
    @media print{.chart,.picked{position:static}}
    """

  private static var modelColours: String {
    (0..<DepthChart.colours).map {
      "svg .m\($0){stroke:var(--m\($0))}svg .mark.m\($0){fill:var(--m\($0));stroke:var(--page)}"
        + "text.m\($0){fill:var(--m\($0));stroke:none!important}.badge.m\($0){background:var(--m\($0))}"
    }
    .joined(separator: "\n")
  }

  private static var scaleColours: String {
    (0..<HeatTable.steps).map { step in
      let ink = step < 5 ? "--t0" : step < 7 ? "--t5" : "--t7"
      return ".c\(step){background:var(--c\(step));fill:var(--c\(step));color:var(\(ink))}"
    }.joined(separator: "\n")
  }

  /// Lets the slider and the small maps pick the layer of the large one.
  static let script = """
    (() => {
      "use strict";
      const similarity = JSON.parse(document.getElementById("pair-data").textContent);
      const slider = document.getElementById("layer");
      const name = document.getElementById("layer-name");
      const cells = Array.from(document.querySelectorAll("#pairs td[data-i]"));
      const tiles = Array.from(document.querySelectorAll(".tile"));
      const show = (layer) => {
        for (const cell of cells) {
          const i = Number(cell.dataset.i);
          const value = similarity[layer][i][Number(cell.dataset.j) - i - 1];
          cell.textContent = value.toFixed(3);
          cell.className = "c" + Math.max(0, Math.min(\(HeatTable.steps - 1), Math.round(value * \(HeatTable.steps - 1))));
        }
        tiles.forEach((tile, index) => tile.setAttribute("aria-pressed", String(index === layer)));
        name.textContent = tiles[layer].textContent.trim();
        slider.value = layer;
        slider.setAttribute("aria-valuetext", name.textContent);
      };
      slider.addEventListener("input", () => show(Number(slider.value)));
      tiles.forEach((tile, index) => {
        tile.disabled = false;
        tile.addEventListener("click", () => show(index));
      });
      slider.closest(".picker").hidden = false;
      show(Number(slider.value));
    })();
    """
}
