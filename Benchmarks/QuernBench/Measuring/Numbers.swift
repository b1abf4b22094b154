// SPDX-License-Identifier: Apache-2.0

extension Double {
    /// About three digits, as many as a noisy measurement deserves: 0.45, 12.3, 1,234,567.
    var text: String {
        let digits = abs(self) >= 100 ? 0 : abs(self) >= 10 ? 1 : 2
        let scale = [1, 10, 100][digits]
        guard abs(self) < 1e15 else { return description }
        let scaled = Int((self * Double(scale)).rounded())
        let whole = (scaled / scale).text
        guard digits > 0 else { return whole }
        return whole + "." + String(scale + abs(scaled) % scale).dropFirst()
    }
}

extension Int {
    /// With commas between thousands.
    var text: String {
        var rest = String(magnitude)
        var groups: [String] = []
        while rest.count > 3 {
            groups.insert(String(rest.suffix(3)), at: 0)
            rest.removeLast(3)
        }
        return (self < 0 ? "-" : "") + ([rest] + groups).joined(separator: ",")
    }
}
