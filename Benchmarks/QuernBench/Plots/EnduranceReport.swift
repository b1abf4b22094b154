// SPDX-License-Identifier: Apache-2.0

/// One look at a process under load.
struct EnduranceSample {
    var seconds: Double
    var resident = ProcessMemory.resident
    var anonymous = ProcessMemory.anonymous
    var descriptors = ProcessMemory.descriptors
    var storeBytes: Int
    /// Tasks that had ended.
    var ended: Int
}

/// What a long load came to: a table of its quarters, and a picture.
struct EnduranceReport {
    var samples: [EnduranceSample]
    var trees: Int
    var singles: Int
    var stops: Int
    var scans: Int
    var childrenRead: Int
    var readerPeak: Int

    private struct Curve: Sendable {
        var title: String
        var value: @Sendable (EnduranceSample) -> Double
    }

    private static let curves = [
        Curve(title: "resident, MiB") { Double($0.resident) / 1_048_576 },
        Curve(title: "of it not mapped files, MiB") { Double($0.anonymous) / 1_048_576 },
        Curve(title: "descriptors") { Double($0.descriptors) },
        Curve(title: "store, MiB") { Double($0.storeBytes) / 1_048_576 },
        Curve(title: "tasks ended, millions") { Double($0.ended) / 1e6 },
    ]

    var text: String {
        let (duration, ended) = (samples.last?.seconds ?? 0, samples.last?.ended ?? 0)
        var lines = [
            "\(Int(duration)) s, \(stops) stops in the middle: \(ended.text) tasks ended, \(trees.text) trees and "
                + "\(singles.text) single ones; a reader in another process: \(scans.text) scans, "
                + "\(childrenRead.text) children, \(readerPeak >> 20) MiB at most",
            "largest of each quarter".padded(to: 30) + (1...4).map { "\($0)".padded(to: 12) }.joined(),
        ]
        let size = max(1, samples.count / 4)
        for curve in Self.curves {
            let cells = (0..<4).map { quarter in
                let part = samples.dropFirst(quarter * size).prefix(quarter == 3 ? samples.count : size)
                return (part.map(curve.value).max() ?? 0).text.padded(to: 12)
            }
            lines.append(curve.title.padded(to: 30) + cells.joined())
        }
        return lines.joined(separator: "\n")
    }

    var drawing: Drawing {
        let (left, width, row) = (70.0, 720.0, 120.0)
        var drawing = Drawing(width: width, height: 60 + row * Double(Self.curves.count))
        drawing.text("a scheduler under full load", 16, 28, size: 18, isBold: true)
        let length = max(1, samples.last?.seconds ?? 1)
        for (index, curve) in Self.curves.enumerated() {
            let (top, bottom) = (50 + row * Double(index), 50 + row * Double(index) + row - 36)
            let values = samples.map(curve.value)
            let largest = max(values.max() ?? 1, 1e-9)
            drawing.text(curve.title, left, top + 4, .start, .ink, size: 12)
            drawing.text(largest.text, left - 8, top + 16, .end, .pale, size: 11)
            drawing.text("0", left - 8, bottom + 4, .end, .pale, size: 11)
            drawing.line([(left, bottom), (width - 30, bottom)], .grid)
            let points = zip(samples, values).map { sample, value in
                (
                    x: left + sample.seconds / length * (width - 30 - left),
                    y: bottom - value / largest * (bottom - top - 12)
                )
            }
            drawing.line(points, .quern, width: 1.5)
        }
        drawing.text("\(Int(length)) seconds", width - 30, drawing.height - 8, .end, .pale, size: 12)
        return drawing
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
