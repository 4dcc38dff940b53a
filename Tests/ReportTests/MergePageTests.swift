import Report
import Testing

@Suite struct MergePageTests {
  /// A page of many layers and models whose similarity falls with depth.
  private func page(blocks: Int, models: Int, compares: Bool = true) -> MergePage {
    let names = ["embedding"] + (0..<blocks).map { "block.\($0)" } + ["head"]
    let layers = names.enumerated().map { depth, name in
      let similarity = (0..<models).map { i in
        (0..<models).map { j -> Double in
          let distance = Double(depth) * 0.05 + Double(i + j) * 0.01
          return i == j ? 1 : 1 / (1 + distance)
        }
      }
      return MergePage.Layer(
        name: name, similarity: compares ? similarity : [], scores: compares ? similarity[0] : [],
        weights: [Double](repeating: 1 / Double(models), count: models), unrelated: compares ? 0.04 : nil)
    }
    return MergePage(
      isMerge: true,
      models: (0..<models).map { .init(path: "/models/expert-\($0)", isAnchor: $0 == 0, note: "") }, layers: layers,
      options: [("typical", "20")],
      samples: (0..<20).map { .init(index: $0, clusterSize: 3, text: String(repeating: "word ", count: 2000)) },
      history: [], warnings: [])
  }

  @Test("80 layers of 8 models stay under a megabyte, with every number in a cell")
  func size() {
    let html = page(blocks: 80, models: 8).html
    #expect(html.utf8.count < 1_000_000)
    #expect(html.components(of: "<th scope=\"row\">block.79</th>") == 2, "similarity and weights")
    #expect(html.components(of: "class=\"tile\"") == 82)
    // Two tables of layers × models, and one of models × models.
    #expect(html.components(of: "<td class=\"c") == 2 * 82 * 8 + 64)
  }

  @Test("the page loads nothing and does not change from call to call")
  func selfContained() {
    let html = page(blocks: 3, models: 3).html
    for word in ["http://", "https://", "src=", "@import", "url("] { #expect(!html.contains(word), "\(word)") }
    #expect(html.contains("default-src 'none'"))
    #expect(html == page(blocks: 3, models: 3).html)
  }

  @Test("paths, texts and options cannot become markup, attributes or script")
  func hostile() {
    let attack = "</script><script>alert(1)</script>\"' onload=x <img src=y>\u{202E}\u{0000}&amp;"
    var page = page(blocks: 2, models: 2)
    page.models[0].path = "/a/\(attack)"
    page.models[1].note = attack
    page.layers[1].name = attack
    page.samples[0].text = attack
    page.options = [(attack, attack)]
    page.warnings = [attack]
    page.history = [.init(path: attack, models: [(attack, true, 1)], samples: 1)]
    let html = page.html
    #expect(html.components(of: "<script") == 2, "the data and the script of the page itself")
    #expect(html.components(of: "</script>") == 2)
    #expect(!html.contains("<img") && !html.contains("\u{202E}") && !html.contains("\u{0000}"))
    #expect(!html.contains("\"' onload") && html.contains("&quot;&#39; onload=x"))
    #expect(html.contains("&amp;amp;"))
  }

  @Test("every picture has a text, every table a caption, and every element its end")
  func structure() throws {
    let html = page(blocks: 12, models: 9).html
    #expect(html.components(of: "role=\"img\"") == html.components(of: "<desc "))
    #expect(html.components(of: "<table class=\"heat\"") == html.components(of: "<caption>"))
    #expect(html.contains("lang=\"en\"") && html.contains("name=\"viewport\""))
    for element in ["section", "div", "table", "tr", "td", "th", "svg", "g", "text", "button", "ol", "li", "span", "p"]
    {
      let opened = html.components(of: "<\(element)>") + html.components(of: "<\(element) ")
      #expect(opened == html.components(of: "</\(element)>"), "\(element)")
    }
  }

  @Test("methods that compare nothing show weights alone")
  func weightsAlone() {
    let html = page(blocks: 2, models: 2, compares: false).html
    #expect(!html.contains("similarity-chart") && !html.contains("pair-data") && !html.contains("<script>"))
    #expect(html.contains("weight-chart") && html.contains("Merged layer by layer"))
  }

  @Test("weights that hold for the whole model are a row, and no curve over depth")
  func withoutDepth() {
    var page = page(blocks: 0, models: 3, compares: false)
    page.layers = [.init(name: "all", similarity: [], scores: [], weights: [0.5, 0.2, 0.3], unrelated: nil)]
    let html = page.html
    #expect(!html.contains("weight-chart") && !html.contains("layer by layer") && !html.contains("dashed line"))
    #expect(html.components(of: "<td class=\"c") == 3 && html.contains("Merged as a whole"))
  }

  @Test("the history is told oldest first, and warnings stand at the top")
  func history() throws {
    var page = page(blocks: 2, models: 2)
    page.history = [
      .init(path: "/m/first", models: [("/e/a", true, 0.75), ("/e/b", false, 0.25)], samples: 5),
      .init(path: "/m/second", models: [("/m/first", false, 0.5), ("/e/c", true, 0.5)], samples: 7),
    ]
    page.warnings = ["these two are strangers"]
    let html = page.html
    let first = try #require(html.range(of: "<bdi>first</bdi>")?.lowerBound)
    let second = try #require(html.range(of: "<bdi>second</bdi>")?.lowerBound)
    #expect(first < second)
    #expect(html.contains("width:75.0%"))
    #expect(
      try #require(html.range(of: "these two are strangers")?.lowerBound) < #require(
        html.range(of: "The models<")?.lowerBound))
  }
}

extension String {
  /// How often a text occurs in this one.
  fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
